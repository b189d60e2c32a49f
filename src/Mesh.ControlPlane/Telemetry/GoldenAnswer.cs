namespace Mesh.ControlPlane.Telemetry;

/// <summary>The numbers of one key in the asked time (docs/api.md).</summary>
/// <param name="Requests">Calls; by endpoint and backend: attempts that arrived.</param>
/// <param name="SuccessRate">0–1: successful attempts ÷ attempts.</param>
/// <param name="EffectiveSuccessRate">0–1: successful calls ÷ calls.</param>
internal sealed record GoldenNumbers(
    long Requests, long Failures, long Cancelled, long Attempts, long AttemptFailures, long Retries, double SuccessRate, double EffectiveSuccessRate,
    double Rps, double P50Ms, double P95Ms, double P99Ms, double MtlsShare)
{
    public static readonly GoldenNumbers None = new(0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0) { OpenConnections = 0 };

    /// <summary>Of a time that is past: how many connections were open then nobody knows.</summary>
    public static readonly GoldenNumbers NonePast = None with { OpenConnections = null };

    /// <summary>Connections whose bytes are no HTTP: ended in the time.</summary>
    public long Connections { get; init; }

    /// <summary>Those that began in the time.</summary>
    public long OpenedConnections { get; init; }

    /// <summary>Now; null of a time that is past: they are told of, not kept.</summary>
    public long? OpenConnections { get; init; }

    public long ReceivedBytes { get; init; }

    public long SentBytes { get; init; }
}

internal sealed record GoldenItem(GoldenKey Key, GoldenNumbers Numbers);

/// <summary>Numbers over time, in arrays of equal length; null where nothing was measured.</summary>
internal sealed record GoldenSeries(
    GoldenKey Key, DateTimeOffset T0, IReadOnlyList<long?> Requests, IReadOnlyList<long?> Failures, IReadOnlyList<long?> Retries,
    IReadOnlyList<double?> P50Ms, IReadOnlyList<double?> P95Ms, IReadOnlyList<double?> P99Ms);

/// <summary>A replica whose part is missing.</summary>
internal sealed record MissingReplica(string Replica, string Why);

/// <summary>A time for which somebody's numbers are known to be missing.</summary>
internal sealed record MissingTime(DateTimeOffset From, DateTimeOffset To, string Who, string Why);

/// <summary>Items, and how whole they are.</summary>
/// <param name="Store"><c>disk</c>, <c>memory</c> or <c>prometheus</c>.</param>
internal sealed record GoldenAnswer<T>(
    DateTimeOffset From, DateTimeOffset To, TimeSpan Step, DateTimeOffset ReachesBackTo, string Store, IReadOnlyList<MissingReplica> Partial, IReadOnlyList<MissingTime> Gaps, IReadOnlyList<T> Items);

/// <summary>Answers questions about golden metrics: the embedded store, all replicas' together, or a Prometheus server. Thread-safe.</summary>
internal interface IGoldenQueries
{
    /// <exception cref="GoldenUnavailableException">What keeps the numbers does not answer.</exception>
    Task<GoldenAnswer<GoldenItem>> ReadAsync(GoldenQuery query, CancellationToken cancellationToken);

    /// <param name="step">Rounded up to what is kept.</param>
    /// <inheritdoc cref="ReadAsync"/>
    Task<GoldenAnswer<GoldenSeries>> ReadSeriesAsync(GoldenQuery query, TimeSpan step, CancellationToken cancellationToken);

    /// <summary>What the mesh decided on its own account.</summary>
    Task<GoldenAnswer<DecisionCount>> DecisionsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken);

    /// <summary>What callers' balancers say of endpoints now; what is older than 30 s is left out.</summary>
    IReadOnlyList<BalancerState> Balancers(string service, string @namespace);
}

/// <param name="Side"><c>client</c> or <c>server</c>.</param>
/// <param name="Service">The called Service; on the server's side empty.</param>
/// <param name="ServiceNamespace">Its namespace; empty too where a workload of an earlier version does not say.</param>
internal sealed record DecisionCount(string Workload, string Namespace, string Side, string Decision, string Reason, string Service, string ServiceNamespace, long Count);

/// <summary>One caller's view of one endpoint.</summary>
/// <param name="State"><c>ready</c>, <c>connecting</c>, <c>idle</c>, <c>failing</c> or <c>ejected</c>.</param>
internal sealed record BalancerState(
    string Source, string SourceNamespace, string Instance, string Endpoint, string State, long Active, double EwmaMs, double Weight, DateTimeOffset? EjectedUntil, string? Why, DateTimeOffset At);

/// <summary>What keeps the numbers does not answer.</summary>
internal sealed class GoldenUnavailableException(string message, Exception? inner = null) : Exception(message, inner);
