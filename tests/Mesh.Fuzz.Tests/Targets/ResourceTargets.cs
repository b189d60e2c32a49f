using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Routing;
using Mesh.Traffic;
using Mesh.Xds.Decoding;

namespace Mesh.Fuzz.Tests.Targets;

/// <summary>Resources of one type as any control plane could send them: a model, or every error, never an exception.</summary>
internal abstract class ResourceTarget(string name, string type, params IReadOnlyList<byte[]> corpus) : IFuzzTarget
{
    private static readonly byte[][] _nonsense = [[], [0xff], "\n\u0001\n"u8.ToArray()];

    public string Name => name;

    public int Iterations => 4_000;

    public IReadOnlyList<byte[]> Corpus { get; } =
        [.. corpus, .. GoldenManifests.Resources.Where(r => r.Type == type).Select(r => r.Bytes.ToByteArray()).DistinctBy(Convert.ToHexString), .. _nonsense];

    public IReadOnlyList<IMutation> Mutations { get; } = [ProtobufMutation.Instance];

    public string Run(byte[] input)
    {
        var bytes = ByteString.CopyFrom(input);
        var decoded = ResourceDecoder.Decode(type, bytes);
        Holds.That(decoded.IsValid == (decoded.Errors.Count == 0), $"a model or errors, not both and not neither: {string.Join("; ", decoded.Errors)}");
        Holds.That(decoded.Errors.All(e => e.ToString().Length > 5), "an error says something");
        var again = ResourceDecoder.Decode(type, bytes);
        Holds.That(again.Errors.SequenceEqual(decoded.Errors) && again.Name == decoded.Name, "the same bytes decode the same way");
        return decoded.Model is { } model ? Use(model) : new string([.. decoded.Errors[0].ToString().Where(char.IsAsciiLetter).Take(60)]);
    }

    /// <summary>What a data plane does with a model that it took.</summary>
    protected virtual string Use(object model) => "model";
}

internal sealed class ListenerTarget() : ResourceTarget("xds-listener", XdsTypes.Listener);

internal sealed class RouteConfigurationTarget() : ResourceTarget("xds-routes", XdsTypes.RouteConfiguration)
{
    /// <summary>Calls are matched against it.</summary>
    protected override string Use(object model)
    {
        var table = new RouteTable<Route>((RouteConfiguration)model, route => route);
        return $"model {table.Find("web.shop.svc.cluster.local:80")?.Match(new Call(), new Random(1)) is not null} {table.Find("elsewhere") is not null}";
    }

    private sealed class Call : RequestHead
    {
        public override string Method => "GET";

        public override string Authority => "web.shop.svc.cluster.local:80";

        public override string Path => "/shops/1/orders/2";

        public override string Query => "a=b&c";

        public override string? Header(string name) => name.Length % 2 == 0 ? "17" : null;
    }
}

internal sealed class ClusterTarget() : ResourceTarget("xds-cluster", XdsTypes.Cluster);

internal sealed class LoadAssignmentTarget() : ResourceTarget("xds-endpoints", XdsTypes.ClusterLoadAssignment);

internal sealed class LeafPolicyTarget() : ResourceTarget("xds-leaf-policy", XdsTypes.LeafPolicy, new Protos.Identity.LeafPolicy { Name = "default", IssuedAfter = new Timestamp { Seconds = 1 } }.ToByteArray());
