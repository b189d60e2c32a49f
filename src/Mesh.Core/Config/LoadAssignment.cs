using Mesh.Spiffe;

namespace Mesh.Config;

/// <summary>The endpoints of a cluster.</summary>
internal sealed record LoadAssignment(string ClusterName, IReadOnlyList<LocalityEndpoints> Localities)
{
    /// <summary>A priority with this share of usable endpoints, divided by 100, still takes all its calls: 140 means that 72 % suffice. Default 140 (Envoy).</summary>
    public int OverprovisioningPercent { get; init; } = 140;

    /// <summary>Calls to drop on purpose, in order.</summary>
    public IReadOnlyList<DropCategory> Drops { get; init; } = [];
}

/// <summary>Calls that the control plane wants dropped (xDS drop_overload).</summary>
/// <param name="PerMillion">Share of the calls that reach this category, 0–1,000,000.</param>
internal sealed record DropCategory(string Name, int PerMillion);

/// <summary>Endpoints that stand together.</summary>
/// <param name="Priority">0 is used first.</param>
/// <param name="Weight">Share among the localities of one priority, 1 or more.</param>
internal sealed record LocalityEndpoints(Locality Locality, int Priority, int Weight, IReadOnlyList<Endpoint> Endpoints);

/// <summary>Where endpoints stand.</summary>
internal sealed record Locality(string Region, string Zone, string SubZone);

/// <summary>One address that serves a cluster.</summary>
/// <param name="Address">An IP literal.</param>
/// <param name="Port">1–65535.</param>
/// <param name="Weight">1 or more.</param>
/// <param name="Healthy">False: not to be used for new calls.</param>
internal sealed record Endpoint(string Address, int Port, int Weight, bool Healthy)
{
    /// <summary>It is leaving: only for sessions that it has (gRFC A55). Then it is not <see cref="Healthy"/>.</summary>
    public bool Draining { get; init; }

    public EndpointTls Tls { get; init; } = EndpointTls.None;

    /// <summary>Exactly who must answer when <see cref="Tls"/> is <see cref="EndpointTls.Mesh"/>.</summary>
    public SpiffeId? SpiffeId { get; init; }

    /// <summary>HTTP/2 may be used without asking (our metadata lists <c>h2</c>).</summary>
    public bool SpeaksHttp2 { get; init; }

    /// <summary>Bytes of any protocol may be sent inside mesh TLS (our metadata lists <c>tcp</c>): a sidecar, which gives HTTP on in the version that it is told.</summary>
    public bool SpeaksTcp { get; init; }

    /// <summary>Stands for the address on a hash ring (gRFC A76); null is the address itself.</summary>
    public string? HashKey { get; init; }

    public string HostPort => Address.Contains(':', StringComparison.Ordinal) ? $"[{Address}]:{Port}" : $"{Address}:{Port}";
}

/// <summary>What our metadata says of an endpoint (contracts §3).</summary>
internal enum EndpointTls
{
    /// <summary>Not in the mesh: as the cluster's <see cref="Cluster.UpstreamTls"/> says, else plaintext.</summary>
    None,

    /// <summary>In the mesh: mesh TLS, never plaintext.</summary>
    Mesh,
}
