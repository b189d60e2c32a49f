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

    /// <summary>For <see cref="LoadBalancing.LeastRequest"/>: endpoints drawn per pick, 2–10. Default 2 (gRFC A48).</summary>
    public int LeastRequestChoices { get; init; } = 2;

    /// <summary>For <see cref="LoadBalancing.WeightedRoundRobin"/>.</summary>
    public WeightedRoundRobin WeightedRoundRobin { get; init; } = WeightedRoundRobin.Default;

    /// <summary>How an endpoint that is new, or was back after it sat out, comes to its full share; null is at once.</summary>
    public SlowStart? SlowStart { get; init; }

    /// <summary>Endpoints of the caller's own zone first, then of its region, then all; spills over by health.</summary>
    public bool PreferNear { get; init; }

    /// <summary>Below this share of usable endpoints (0–100) health no longer counts: all of them are used. 0 is never. Default 50 (Envoy).</summary>
    public int PanicThresholdPercent { get; init; } = 50;

    /// <summary>When endpoints sit out; null is never.</summary>
    public OutlierDetection? OutlierDetection { get; init; }

    /// <summary>Probes of our own; null is none.</summary>
    public HealthCheck? HealthCheck { get; init; }

    /// <summary>Most calls in flight; default 1,024 (gRFC A32).</summary>
    public int MaxRequests { get; init; } = 1024;

    /// <summary>Most calls that wait for a connection; default: no limit of its own.</summary>
    public int MaxPendingRequests { get; init; } = int.MaxValue;

    /// <summary>Most connections to the cluster; default: no limit.</summary>
    public int MaxConnections { get; init; } = int.MaxValue;

    public RetryBudgetSize RetryBudget { get; init; } = RetryBudgetSize.Default;

    public ConnectionLife Connections { get; init; } = ConnectionLife.Default;

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

    /// <summary>One after another, as often as the load that endpoints report of themselves allows (gRFC A58, ORCA).</summary>
    WeightedRoundRobin,
}

/// <summary>How weights are made of load reports (gRFC A58).</summary>
/// <param name="OutOfBand">Reports come on a stream of their own (gRFC A51) and not with the answers. Default false.</param>
/// <param name="OutOfBandPeriod">Default 10 s.</param>
/// <param name="Blackout">How long reports of an endpoint must come before they count. Default 10 s.</param>
/// <param name="Expiration">After this time without a report the weight is forgotten. Default 3 min.</param>
/// <param name="UpdatePeriod">How often weights are computed; at least 100 ms. Default 1 s.</param>
/// <param name="ErrorPenalty">What an error rate of 100 % adds to the utilization, 0 or more. Default 1.</param>
/// <param name="MetricNames">Where the application's utilization comes from when it reports none, such as <c>named_metrics.queue</c>; the largest counts.</param>
internal sealed record WeightedRoundRobin(
    bool OutOfBand, TimeSpan OutOfBandPeriod, TimeSpan Blackout, TimeSpan Expiration, TimeSpan UpdatePeriod, double ErrorPenalty, IReadOnlyList<string> MetricNames)
{
    public static WeightedRoundRobin Default { get; } =
        new(false, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(1), 1, []);
}

/// <summary>An endpoint's weight grows over a while.</summary>
/// <param name="Window">From first use to full weight; more than 0.</param>
/// <param name="Aggression">1 is a straight line; more is quicker at first (Envoy: factor is time share to the power of 1/aggression). Default 1.</param>
/// <param name="MinWeightPercent">Where it begins, 0–100. Default 10 (Envoy).</param>
internal sealed record SlowStart(TimeSpan Window, double Aggression, int MinWeightPercent);

/// <summary>How much may be tried again or twice, so that retries never multiply an overload.</summary>
/// <param name="Percent">Retries and hedges per 100 calls, 0–100. Default 20 (Linkerd, Finagle).</param>
/// <param name="MinPerSecond">Always allowed. Default 10 (Linkerd).</param>
internal sealed record RetryBudgetSize(int Percent, int MinPerSecond)
{
    public static RetryBudgetSize Default { get; } = new(20, 10);
}

/// <summary>How connections to the endpoints of a cluster live.</summary>
/// <param name="MaxAge">After this time no new call rides a connection; null is never. Default null.</param>
/// <param name="IdleTimeout">A connection without calls closes. Default 5 min.</param>
/// <param name="Warm">Connections opened to each endpoint before calls need them, 0–8. Default 0.</param>
internal sealed record ConnectionLife(TimeSpan? MaxAge, TimeSpan IdleTimeout, int Warm)
{
    public static ConnectionLife Default { get; } = new(null, TimeSpan.FromMinutes(5), 0);
}

/// <summary>How an endpoint is probed by its callers.</summary>
/// <param name="Probe">What is asked.</param>
/// <param name="Interval">Default 10 s.</param>
/// <param name="Timeout">Default 1 s.</param>
/// <param name="UnhealthyThreshold">Failed probes in a row that take it out, 1 or more. Default 3. (A refused connection, and the first probe of all, counts at once.)</param>
/// <param name="HealthyThreshold">Good probes in a row that bring it back, 1 or more. Default 2.</param>
internal sealed record HealthCheck(HealthProbe Probe, TimeSpan Interval, TimeSpan Timeout, int UnhealthyThreshold, int HealthyThreshold);

/// <summary>One question to an endpoint.</summary>
internal abstract record HealthProbe
{
    /// <summary>GET of a path.</summary>
    /// <param name="Host">The authority; null is the cluster's service.</param>
    /// <param name="Statuses">Good answers as ranges, end excluded; empty is 200–299.</param>
    internal sealed record Http(string Path, string? Host, IReadOnlyList<(int Start, int End)> Statuses) : HealthProbe;

    /// <summary>grpc.health.v1.Health/Check.</summary>
    /// <param name="Service">Empty is the whole server.</param>
    internal sealed record Grpc(string Service) : HealthProbe;

    /// <summary>A connection, with TLS where the endpoint has it.</summary>
    internal sealed record Tcp : HealthProbe;
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
internal sealed record OutlierDetection(int ConsecutiveFailures, TimeSpan BaseEjectionTime, TimeSpan MaxEjectionTime, int MaxEjectionPercent)
{
    /// <summary>How often success rates and failure percentages are looked at. Default 10 s (gRFC A50).</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Ejects who is far below the others; null is off.</summary>
    public SuccessRateEjection? SuccessRate { get; init; }

    /// <summary>Ejects who fails more than a share; null is off.</summary>
    public FailurePercentageEjection? FailurePercentage { get; init; }
}

/// <summary>Ejects endpoints whose success rate is below mean − factor × standard deviation (gRFC A50).</summary>
/// <param name="StdevFactor">In thousandths. Default 1,900.</param>
/// <param name="EnforcementPercent">Chance that it is done, 0–100. Default 100.</param>
/// <param name="MinimumHosts">With enough calls, else nobody is ejected. Default 5.</param>
/// <param name="RequestVolume">Calls within an interval for an endpoint to count. Default 100.</param>
internal sealed record SuccessRateEjection(int StdevFactor, int EnforcementPercent, int MinimumHosts, int RequestVolume);

/// <summary>Ejects endpoints that fail more than a share of their calls (gRFC A50).</summary>
/// <param name="Threshold">0–100. Default 85.</param>
/// <param name="EnforcementPercent">Chance that it is done, 0–100. Default 100; in xDS unset is 0.</param>
/// <param name="MinimumHosts">Default 5.</param>
/// <param name="RequestVolume">Default 50.</param>
internal sealed record FailurePercentageEjection(int Threshold, int EnforcementPercent, int MinimumHosts, int RequestVolume);

/// <summary>TLS as a foreign control plane asks for it (gRFC A29).</summary>
/// <param name="AllowedSubjects">Subject alternative names, any of which the server must have; empty accepts any of the trust bundle.</param>
internal sealed record UpstreamTls(string Sni, IReadOnlyList<Traffic.StringMatcher> AllowedSubjects);
