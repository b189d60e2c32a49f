using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Xds;

/// <summary>Reads who asks out of the first request of a stream. A verified identity wins over what the node says of itself.</summary>
internal static class NodeReader
{
    private const int MaxText = 512;
    private const int MaxInstanceIps = 64;
    private const int MaxVersion = 100;

    /// <returns>Null with a problem when the node can't be used.</returns>
    public static NodeContext? Read(Node? node, SpiffeId? identity, out string? problem)
    {
        problem = null;
        if (node is null || node.Id.Length == 0)
        {
            problem = "The first request of a stream must carry a node with an id (xDS v3, DiscoveryRequest.node).";
            return null;
        }

        if (node.Id.Length > MaxText)
        {
            problem = $"The node id has {node.Id.Length} characters; at most {MaxText} are taken.";
            return null;
        }

        var skipped = PortRanges.None;
        if (Text(node, "MESH_SKIP_INBOUND_PORTS") is { } ports && !PortRanges.TryParse(ports, out skipped))
        {
            // Taken for none, what the sidecar does not serve would be called with mesh TLS.
            problem = $"MESH_SKIP_INBOUND_PORTS of node '{node.Id}' is '{ports}'. {PortRanges.Rule}";
            return null;
        }

        var ns = identity?.Namespace ?? Text(node, "NAMESPACE") ?? NamespaceOfId(node.Id) ?? "default";
        return new NodeContext(node.Id, ns, identity)
        {
            IsMesh = node.UserAgentName == "mesh",
            UserAgent = node.UserAgentName.Length <= MaxText ? node.UserAgentName : node.UserAgentName[..MaxText],
            MeshVersion = Text(node, "MESH_VERSION") is { Length: <= MaxVersion } version ? version : null,
            IsTransparent = node.UserAgentName == "mesh" && Text(node, "MESH_TRANSPARENT") == "true",
            SkipInboundPorts = skipped,
            HasDefaultTls = Text(node, "MESH_TLS") == "default",
            Place = node.Locality is { } locality && locality.Zone.Length <= MaxText && locality.Region.Length <= MaxText ? new Place(locality.Region, locality.Zone, string.Empty) : Place.Unknown,
            InstanceIps = [.. (Text(node, "INSTANCE_IPS") ?? string.Empty)
                .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Take(MaxInstanceIps)],
        };
    }

    private static string? Text(Node node, string key) =>
        node.Metadata is { } metadata
        && metadata.Fields.TryGetValue(key, out var value)
        && value.KindCase == Value.KindOneofCase.StringValue
        && value.StringValue is { Length: > 0 and <= 4096 } text
            ? text
            : null;

    // <workload>~<instance>~<namespace>
    private static string? NamespaceOfId(string id) => id.Split('~') is [_, _, { Length: > 0 } ns] ? ns : null;
}
