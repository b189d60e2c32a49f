using Google.Protobuf;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.Protos.Tap;
using Mesh.Spiffe;
using Mesh.Tap;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>What a data plane reports of requests, as a hostile one could: others are shown harmless text, whose it is, and nothing that is secret.</summary>
internal sealed class TapReportTarget : IFuzzTarget
{
    private static readonly SpiffeId _id = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private static readonly TapQuestion _question = new(100) { Headers = ["x-user"] };
    private static readonly TapIndex _index = new(new MeshModel());
    private static readonly DateTimeOffset _now = new(2026, 11, 29, 12, 0, 0, TimeSpan.Zero);

    public string Name => "tap-report";

    public IReadOnlyList<byte[]> Corpus { get; } = [Report(server: false).ToByteArray(), Report(server: true).ToByteArray(), [], [0xff]];

    public IReadOnlyList<IMutation> Mutations { get; } = [ProtobufMutation.Instance];

    public string Run(byte[] input)
    {
        TapReport report;
        try
        {
            report = TapReport.Parser.ParseFrom(input);
        }
        catch (InvalidProtocolBufferException)
        {
            // gRPC ends the stream.
            return "no report";
        }

        var session = new TapSession(_id);
        if (report.Hello is { } hello)
        {
            session.Meet(hello);
        }

        Holds.That(TapText.IsClean(session.Workload, 253) && TapText.IsClean(session.NodeId) && session.Namespace == "shop", "a session's names are harmless, and its namespace its identity's");
        foreach (var exchange in report.Exchanges)
        {
            Check(TapReportReader.Read(exchange, session, _question, _index, _now)!, session);
        }

        foreach (var denial in report.Denials)
        {
            var read = TapReportReader.Read(denial, _now);
            Holds.That(new[] { read.Method, read.Path, read.Rule }.All(t => TapText.IsClean(t)) && TapText.IsClean(read.Caller, 512) && TapText.IsClean(read.Nearest, 512) && read.Count > 0, "a denial is harmless text");
        }

        return $"{report.Exchanges.Count > 0} {report.Denials.Count > 0} {report.Hello is not null} {report.Stats.Count > 0}";
    }

    private static void Check(TapEvent seen, TapSession session)
    {
        string?[] texts = [seen.Method, seen.Authority, seen.Path, seen.Route, seen.Error, .. seen.RequestHeaders.Values, .. seen.ResponseHeaders.Values];
        Holds.That(texts.All(t => t is null || TapText.IsClean(t)), "texts are harmless");
        Holds.That(new[] { seen.Source, seen.Destination, seen.SourceNamespace, seen.DestinationNamespace, seen.Endpoint ?? "" }.All(t => TapText.IsClean(t, 253)) && TapText.IsClean(seen.Peer ?? "", 512), "names are harmless");
        Holds.That((seen.Side == "client" ? seen.SourceNamespace : seen.DestinationNamespace) == "shop" && seen.Reporter == _id.ToString(), "it speaks for itself only");
        Holds.That((seen.Side == "client" ? seen.Source : seen.Destination) == session.Workload, "it is called as it calls itself");
        var headers = seen.RequestHeaders.Concat(seen.ResponseHeaders).ToList();
        Holds.That(headers.All(h => !TapHeaders.IsSecret(h.Key) && (h.Key.Equals("x-user", StringComparison.OrdinalIgnoreCase) || h.Value == TapHeaders.Hidden)), "only what was asked for is shown of headers");
        Holds.That(headers.Count <= 96 && headers.All(h => TapText.IsClean(h.Key, 64)), "headers are few");
        Holds.That((seen.At - _now).Duration() <= TimeSpan.FromDays(1) && seen is { LatencyMs: >= 0, Attempts: >= 0 and <= 1000 }, "its times and counts are possible");
        Holds.That(seen.Status is null or (>= 100 and <= 999) && seen.GrpcStatus is null or (>= 0 and <= 16), "its statuses exist");
    }

    private static TapReport Report(bool server)
    {
        var exchange = new Exchange
        {
            Tap = "t1", AtUnixUs = (_now - DateTimeOffset.UnixEpoch).Ticks / 10, Server = server, PeerName = "pricing", PeerNamespace = "shop", PeerIdentity = "spiffe://cluster.local/ns/shop/sa/pricing",
            Endpoint = "127.0.0.1:20017", Method = "GET", Authority = "pricing", Path = "/prices/7", Route = "pricing/0", Status = 200, GrpcStatus = 14, Error = "timeout", LatencyUs = 3100,
            Attempts = 2, MeshTls = true, TraceId = "0af7651916cd43dd8448eb211c80319c", Failed = true,
        };
        exchange.RequestHeaders.Add(new Dictionary<string, string> { ["x-user"] = "ann", ["authorization"] = "Bearer x", ["accept"] = "*/*" });
        exchange.ResponseHeaders.Add("set-cookie", "a=b");
        return new TapReport
        {
            Hello = new Hello { NodeId = "cart~1~shop", Workload = "cart" },
            Exchanges = { exchange },
            Stats = { new TapStats { Tap = "t1", Seen = 3, Sent = 2, Dropped = 1 } },
            Denials = { new Denial { AtUnixUs = 1, Caller = "10.0.0.9", Method = "GET", Path = "/\u001b", Rule = "shop/rule", Nearest = "rule x", Count = 2, Audit = true } },
        };
    }
}
