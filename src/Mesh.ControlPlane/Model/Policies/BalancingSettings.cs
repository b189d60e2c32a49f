using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What LoadBalancingPolicy says.</summary>
internal static class BalancingSettings
{
    public static readonly Setting<BalancingAlgorithm> Algorithm = new("balancing.algorithm", BalancingAlgorithm.PeakEwma, a => a.ToString());

    /// <summary>Endpoints drawn per pick, 2–10.</summary>
    public static readonly Setting<int> Choices =
        new("balancing.leastRequest.choices", 2, Shown.Number) { Matters = Is(BalancingAlgorithm.LeastRequest) };

    public static readonly Setting<int> MinRingSize = new("balancing.ringHash.minSize", 1024, Shown.Number) { Matters = Is(BalancingAlgorithm.RingHash) };

    public static readonly Setting<int> MaxRingSize =
        new("balancing.ringHash.maxSize", 8 * 1024 * 1024, Shown.Number) { Matters = Is(BalancingAlgorithm.RingHash) };

    public static readonly Setting<ImmutableArray<HashSource>> HashOn =
        new("balancing.ringHash.hashOn", [], sources => Shown.List(sources, s => s.ToString())) { Matters = Is(BalancingAlgorithm.RingHash) };

    public static readonly Setting<bool> Shuffle = new("balancing.pickFirst.shuffle", false, Shown.Flag) { Matters = Is(BalancingAlgorithm.PickFirst) };

    public static readonly Setting<bool> OutOfBand = Weighted("outOfBand", false, Shown.Flag);

    public static readonly Setting<TimeSpan> OutOfBandPeriod = Weighted("outOfBandPeriod", TimeSpan.FromSeconds(10), Shown.Time);

    public static readonly Setting<TimeSpan> Blackout = Weighted("blackoutPeriod", TimeSpan.FromSeconds(10), Shown.Time);

    public static readonly Setting<TimeSpan> Expiration = Weighted("expirationPeriod", TimeSpan.FromMinutes(3), Shown.Time);

    public static readonly Setting<TimeSpan> UpdatePeriod = Weighted("updatePeriod", TimeSpan.FromSeconds(1), Shown.Time);

    public static readonly Setting<double> ErrorPenalty = Weighted("errorPenalty", 1d, Shown.Number);

    public static readonly Setting<ImmutableArray<string>> Metrics = Weighted("metrics", ImmutableArray<string>.Empty, names => Shown.List(names, n => n));

    /// <summary>Zero is off.</summary>
    public static readonly Setting<TimeSpan> SlowStartWindow =
        new("balancing.slowStart.window", TimeSpan.Zero, time => time == TimeSpan.Zero ? "off" : Shown.Length(time)) { Matters = CanStartSlowly };

    public static readonly Setting<double> SlowStartAggression = new("balancing.slowStart.aggression", 1, Shown.Number) { Matters = StartsSlowly };

    public static readonly Setting<int> SlowStartMinWeight = new("balancing.slowStart.minWeightPercent", 10, Shown.Percent) { Matters = StartsSlowly };

    public static readonly Setting<bool> PreferNear = new("balancing.locality", false, near => near ? "PreferNear" : "Any");

    public static readonly Setting<int> PanicThreshold = new("balancing.panicThresholdPercent", 50, Shown.Percent);

    public static readonly Setting<TimeSpan> ConnectionMaxAge = new("connections.maxAge", TimeSpan.Zero, Shown.Time);

    public static readonly Setting<TimeSpan> ConnectionIdleTimeout = new("connections.idleTimeout", TimeSpan.FromMinutes(5), Shown.Time);

    public static readonly Setting<int> WarmConnections = new("connections.warm", 0, Shown.Number);

    public static readonly ImmutableArray<Setting> All =
    [
        Algorithm, Choices, MinRingSize, MaxRingSize, HashOn, Shuffle, OutOfBand, OutOfBandPeriod, Blackout, Expiration, UpdatePeriod, ErrorPenalty, Metrics,
        SlowStartWindow, SlowStartAggression, SlowStartMinWeight, PreferNear, PanicThreshold, ConnectionMaxAge, ConnectionIdleTimeout, WarmConnections,
    ];

    /// <summary>xDS has slow start for these alone.</summary>
    public static bool HasSlowStart(BalancingAlgorithm algorithm) =>
        algorithm is BalancingAlgorithm.PeakEwma or BalancingAlgorithm.RoundRobin or BalancingAlgorithm.LeastRequest;

    private static bool CanStartSlowly(EffectiveSettings settings) => HasSlowStart(settings.Get(Algorithm));

    private static bool StartsSlowly(EffectiveSettings settings) => CanStartSlowly(settings) && settings.Get(SlowStartWindow) > TimeSpan.Zero;

    private static Func<EffectiveSettings, bool> Is(BalancingAlgorithm algorithm) => settings => settings.Get(Algorithm) == algorithm;

    private static Setting<T> Weighted<T>(string field, T fallback, Func<T, string> show)
        where T : notnull => new($"balancing.weightedRoundRobin.{field}", fallback, show) { Matters = Is(BalancingAlgorithm.WeightedRoundRobin) };
}

/// <summary>How an endpoint is picked.</summary>
internal enum BalancingAlgorithm
{
    PeakEwma,
    LeastRequest,
    RoundRobin,
    WeightedRoundRobin,
    RingHash,
    Random,
    PickFirst,
}

/// <summary>What a call's place on the ring is made of.</summary>
/// <param name="Header">Lower case; null is the client itself.</param>
/// <param name="Terminal">When it gave a hash, what stands after it does not count.</param>
internal sealed record HashSource(string? Header, bool Terminal)
{
    public override string ToString() => (Header is null ? "the client" : $"header {Header}") + (Terminal ? " (then stop)" : string.Empty);
}
