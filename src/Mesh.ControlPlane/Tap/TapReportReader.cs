using System.Globalization;
using Google.Protobuf.Collections;
using Mesh.Protos.Tap;
using Mesh.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>Turns what a data plane reports into what others are shown. It may be hostile: who it is, is what its certificate says, and every text is made harmless again.</summary>
internal static class TapReportReader
{
    /// <summary>Of one report; more are not looked at.</summary>
    public const int MostExchanges = 256;

    /// <inheritdoc cref="MostExchanges"/>
    public const int MostDenials = 512;

    private const int MostHeaders = 48;
    private const int LongestName = 253;
    private const int LongestIdentity = 512;
    private static readonly TimeSpan LongestAgo = TimeSpan.FromDays(1);

    /// <summary>Null: it is not shown, because one of both sides forbids it.</summary>
    public static TapEvent? Read(Exchange seen, TapSession session, TapQuestion question, TapIndex index, DateTimeOffset now)
    {
        var (name, ns) = (TapText.Of(seen.PeerName, LongestName), TapText.Of(seen.PeerNamespace, LongestName));
        if (index.Forbids(session.Namespace, session.Account) || (seen.Server ? index.Forbids(ns, name) : index.ForbidsService(ns, name)))
        {
            return null;
        }

        var endpoint = TapText.Of(seen.Endpoint, LongestName);
        var own = seen.Server ? index.ServiceAt(endpoint, session.Namespace) ?? session.Workload : session.Workload;
        var latency = Math.Clamp(seen.LatencyUs, 0, (long)LongestAgo.TotalMicroseconds);
        return new TapEvent(
            At(seen.AtUnixUs, now), seen.Server ? "server" : "client",
            seen.Server ? name : own, seen.Server ? ns : session.Namespace, session.NodeId, seen.Server ? own : name, seen.Server ? session.Namespace : ns,
            Text(seen.PeerIdentity, LongestIdentity), endpoint.Length == 0 ? null : endpoint, TapText.Of(seen.Method, 32), TapText.Of(seen.Authority), TapText.Of(seen.Path), Text(seen.Route),
            seen.Status is >= 100 and <= 999 ? seen.Status : null, seen is { HasGrpcStatus: true, GrpcStatus: >= 0 and <= 16 } ? seen.GrpcStatus : null, Text(seen.Error),
            latency / 1000.0, Math.Clamp(seen.Attempts, 0, 1000), seen.MeshTls ? "mesh" : "none", IsTraceId(seen.TraceId) ? seen.TraceId : null)
        {
            Failed = seen.Failed && !seen.Open,
            Open = seen.Open,
            Stream = seen.Stream > 0 ? string.Create(CultureInfo.InvariantCulture, $"{session.NodeId}/{seen.Stream}") : null,
            Reporter = session.Identity.ToString(),
            RequestHeaders = Headers(seen.RequestHeaders, question),
            ResponseHeaders = Headers(seen.ResponseHeaders, question),
        };
    }

    public static DenialReport Read(Denial denial, DateTimeOffset now) => new(
        At(denial.AtUnixUs, now), TapText.Of(denial.Caller, LongestIdentity), TapText.Of(denial.Method, 32), TapText.Of(denial.Path), denial.Audit,
        TapText.Of(denial.Rule), TapText.Of(denial.Nearest, 512), (long)Math.Clamp(denial.Count, 1, 1_000_000_000));

    private static string? Text(string text, int longest = TapText.Longest) => text.Length == 0 ? null : TapText.Of(text, longest);

    /// <summary>What a clock that is far off says is not believed.</summary>
    private static DateTimeOffset At(long unixMicroseconds, DateTimeOffset now)
    {
        var ago = (now - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond - unixMicroseconds;
        return unixMicroseconds > 0 && ago <= (long)LongestAgo.TotalMicroseconds && ago >= -(long)TimeSpan.FromMinutes(5).TotalMicroseconds
            ? now - TimeSpan.FromTicks(ago * TimeSpan.TicksPerMicrosecond)
            : now;
    }

    private static bool IsTraceId(string text) => text.Length == 32 && text.All(char.IsAsciiHexDigitLower);

    private static Dictionary<string, string> Headers(MapField<string, string> reported, TapQuestion question)
    {
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in reported)
        {
            if (headers.Count < MostHeaders && !TapHeaders.IsSecret(name))
            {
                // A value that nobody asked for is not handed on either.
                headers[TapText.Of(name, 64)] = question.Shows(name) ? TapText.Of(value) : TapHeaders.Hidden;
            }
        }

        return headers;
    }
}
