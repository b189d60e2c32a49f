using System.Collections.Immutable;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Model;

/// <summary>Who asks over an ADS stream, as far as answers depend on it.</summary>
/// <param name="Id">The node's id, for logs.</param>
/// <param name="Namespace">Where short names are looked up.</param>
/// <param name="Identity">Verified by mTLS; null on the plaintext port.</param>
internal sealed record NodeContext(string Id, string Namespace, SpiffeId? Identity)
{
    /// <summary>One of our own data planes (user agent <c>mesh</c>): reads our endpoint metadata.</summary>
    public bool IsMesh { get; init; }

    /// <summary>What the node calls its program, such as <c>gRPC C-core linux Python</c>: peers differ in what they understand (docs/foreign-servers.md).</summary>
    public string UserAgent { get; init; } = string.Empty;

    /// <summary>Metadata <c>MESH_VERSION</c>: of our own data planes their version; null where the node does not say it.</summary>
    public string? MeshVersion { get; init; }

    /// <summary>Metadata <c>MESH_TLS: "default"</c>: has a certificate provider of that name, so it gets the cluster's UpstreamTlsContext.</summary>
    public bool HasDefaultTls { get; init; }

    /// <summary>Metadata <c>MESH_TRANSPARENT: "true"</c>: a sidecar of ours, which stands before every port of its addresses.</summary>
    public bool IsTransparent { get; init; }

    /// <summary>Ports that the sidecar lets alone (metadata <c>MESH_SKIP_INBOUND_PORTS</c>).</summary>
    public PortRanges SkipInboundPorts { get; init; } = PortRanges.None;

    /// <summary>As the node says it (xDS locality); of a Pod that does not, the model knows it.</summary>
    public Place Place { get; init; } = Place.Unknown;

    /// <summary>The node's own addresses (metadata <c>INSTANCE_IPS</c>), to resolve a wildcard bind.</summary>
    public ImmutableArray<string> InstanceIps { get; init; } = [];
}
