namespace Mesh.Config;

/// <summary>A set of endpoints that do the same, and how to call them.</summary>
/// <param name="Name">The CDS name, such as <c>outbound|80||catalog.shop.svc.cluster.local</c>.</param>
/// <param name="EdsServiceName">The EDS resource that lists its endpoints.</param>
/// <param name="ConnectTimeout">Default 5 s (Envoy).</param>
internal sealed record Cluster(string Name, string EdsServiceName, TimeSpan ConnectTimeout)
{
    public LoadBalancing LoadBalancing { get; init; } = LoadBalancing.PeakEwma;

    /// <summary>For <see cref="LoadBalancing.RingHash"/>.</summary>
    public RingHashSize RingHash { get; init; } = RingHashSize.Default;

    /// <summary>For <see cref="LoadBalancing.PickFirst"/>: each client draws its own order.</summary>
    public bool ShuffleEndpoints { get; init; }

    /// <summary>When endpoints sit out; null is never.</summary>
    public OutlierDetection? OutlierDetection { get; init; }

    /// <summary>Most calls in flight; default 1,024 (gRFC A32).</summary>
    public int MaxRequests { get; init; } = 1024;

    /// <summary>TLS towards endpoints that carry no metadata of ours (foreign control planes); null is none.</summary>
    public UpstreamTls? UpstreamTls { get; init; }
}

/// <summary>How an endpoint is picked.</summary>
internal enum LoadBalancing
{
    /// <summary>Power of two choices by peak EWMA of latency × calls in flight. Our default, also for xDS ROUND_ROBIN without an explicit policy list.</summary>
    PeakEwma,
    RoundRobin,
    LeastRequest,
    Random,

    /// <summary>By the call's hash, so that equal hashes meet the same endpoint (gRFC A42).</summary>
    RingHash,

    /// <summary>One endpoint for all calls until it can't be connected to (gRFC A62).</summary>
    PickFirst,
}

/// <summary>How many entries a hash ring has: more follow the weights more closely and cost memory.</summary>
/// <param name="Min">Default 1,024 (gRFC A42).</param>
/// <param name="Max">Default and most 8,388,608 (gRFC A42); we build at most 4,096.</param>
internal sealed record RingHashSize(long Min, long Max)
{
    public const long Limit = 8 * 1024 * 1024;

    public static RingHashSize Default { get; } = new(1024, Limit);
}

/// <summary>When an endpoint that keeps failing sits out.</summary>
/// <param name="ConsecutiveFailures">5xx answers or broken connections in a row; 0 is off. Default 5 (Envoy).</param>
/// <param name="BaseEjectionTime">First time out; grows with each further ejection. Default 30 s (Envoy).</param>
/// <param name="MaxEjectionTime">Default 300 s (Envoy).</param>
/// <param name="MaxEjectionPercent">0–100 of the cluster's endpoints, but always at least one. Default 10 (Envoy).</param>
internal sealed record OutlierDetection(int ConsecutiveFailures, TimeSpan BaseEjectionTime, TimeSpan MaxEjectionTime, int MaxEjectionPercent);

/// <summary>TLS as a foreign control plane asks for it (gRFC A29).</summary>
/// <param name="AllowedSubjects">Subject alternative names, any of which the server must have; empty accepts any of the trust bundle.</param>
internal sealed record UpstreamTls(string Sni, IReadOnlyList<Traffic.StringMatcher> AllowedSubjects);
