using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What OutlierPolicy says.</summary>
internal static class OutlierSettings
{
    /// <summary>0 is off.</summary>
    public static readonly Setting<int> ConsecutiveFailures = new("outlier.consecutiveFailures", 5, n => n == 0 ? "off" : Shown.Number(n));

    public static readonly Setting<TimeSpan> BaseEjectionTime = new("outlier.baseEjectionTime", TimeSpan.FromSeconds(10), Shown.Length);

    public static readonly Setting<TimeSpan> MaxEjectionTime = new("outlier.maxEjectionTime", TimeSpan.FromMinutes(5), Shown.Length);

    public static readonly Setting<int> MaxEjectionPercent = new("outlier.maxEjectionPercent", 50, Shown.Percent);

    public static readonly Setting<TimeSpan> Interval = new("outlier.interval", TimeSpan.FromSeconds(10), Shown.Length)
    {
        Matters = s => BySuccessRate(s) || ByFailurePercentage(s),
    };

    /// <summary>0 is off.</summary>
    public static readonly Setting<int> SuccessRate = new("outlier.successRate.enforcementPercent", 0, Enforced);

    /// <summary>In thousandths.</summary>
    public static readonly Setting<int> SuccessRateStdevFactor = new("outlier.successRate.stdevFactor", 1900, Shown.Number) { Matters = BySuccessRate };

    public static readonly Setting<int> SuccessRateMinimumHosts = new("outlier.successRate.minimumHosts", 5, Shown.Number) { Matters = BySuccessRate };

    public static readonly Setting<int> SuccessRateRequestVolume = new("outlier.successRate.requestVolume", 100, Shown.Number) { Matters = BySuccessRate };

    /// <summary>0 is off.</summary>
    public static readonly Setting<int> FailurePercentage = new("outlier.failurePercentage.enforcementPercent", 0, Enforced);

    public static readonly Setting<int> FailureThreshold = new("outlier.failurePercentage.threshold", 85, Shown.Percent) { Matters = ByFailurePercentage };

    public static readonly Setting<int> FailureMinimumHosts = new("outlier.failurePercentage.minimumHosts", 5, Shown.Number) { Matters = ByFailurePercentage };

    public static readonly Setting<int> FailureRequestVolume =
        new("outlier.failurePercentage.requestVolume", 50, Shown.Number) { Matters = ByFailurePercentage };

    public static readonly Setting<HealthProbe> Probe = new("healthCheck.probe", HealthProbe.Off, p => p.ToString());

    public static readonly Setting<TimeSpan> ProbeInterval = new("healthCheck.interval", TimeSpan.FromSeconds(10), Shown.Length) { Matters = Probes };

    public static readonly Setting<TimeSpan> ProbeTimeout = new("healthCheck.timeout", TimeSpan.FromSeconds(1), Shown.Length) { Matters = Probes };

    public static readonly Setting<int> UnhealthyThreshold = new("healthCheck.unhealthyThreshold", 3, Shown.Number) { Matters = Probes };

    public static readonly Setting<int> HealthyThreshold = new("healthCheck.healthyThreshold", 2, Shown.Number) { Matters = Probes };

    public static readonly ImmutableArray<Setting> All =
    [
        ConsecutiveFailures, BaseEjectionTime, MaxEjectionTime, MaxEjectionPercent, Interval,
        SuccessRate, SuccessRateStdevFactor, SuccessRateMinimumHosts, SuccessRateRequestVolume,
        FailurePercentage, FailureThreshold, FailureMinimumHosts, FailureRequestVolume,
        Probe, ProbeInterval, ProbeTimeout, UnhealthyThreshold, HealthyThreshold,
    ];

    private static bool BySuccessRate(EffectiveSettings settings) => settings.Get(SuccessRate) > 0;

    private static bool ByFailurePercentage(EffectiveSettings settings) => settings.Get(FailurePercentage) > 0;

    private static bool Probes(EffectiveSettings settings) => settings.Get(Probe) is not HealthProbe.None;

    private static string Enforced(int percent) => percent == 0 ? "off" : Shown.Percent(percent);
}

/// <summary>What an endpoint is asked. One value: its parts belong together.</summary>
internal abstract record HealthProbe
{
    public static readonly HealthProbe Off = new None();

    internal sealed record None : HealthProbe
    {
        public override string ToString() => "off";
    }

    /// <param name="Host">Empty is the Service.</param>
    /// <param name="Statuses">First and last of each range; empty is 200–299.</param>
    internal sealed record Http(string Path, string Host, ImmutableArray<(int First, int Last)> Statuses) : HealthProbe
    {
        public override string ToString() =>
            $"GET {Path}{(Host.Length == 0 ? string.Empty : $" of {Host}")}{(Statuses.IsEmpty ? string.Empty : $", {Shown.List(Statuses, s => s.First == s.Last ? $"{s.First}" : $"{s.First}-{s.Last}")}")}";
    }

    /// <param name="Service">Empty is the whole server.</param>
    internal sealed record Grpc(string Service) : HealthProbe
    {
        public override string ToString() => Service.Length == 0 ? "gRPC" : $"gRPC {Service}";
    }

    internal sealed record Tcp : HealthProbe
    {
        public override string ToString() => "TCP";
    }
}
