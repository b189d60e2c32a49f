using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>Every setting there is, in the order in which people read them.</summary>
internal static class PolicySettings
{
    /// <summary>What holds for a Service's port.</summary>
    public static readonly ImmutableArray<Setting> All =
    [
        .. TimeoutSettings.All, .. RetrySettings.All, .. BalancingSettings.All, .. OutlierSettings.All, .. LimitSettings.Concurrency, .. LimitSettings.RateLimit,
        .. FaultSettings.All,
    ];

    /// <summary>What a route or a rule can have of its own.</summary>
    public static readonly ImmutableArray<Setting> OfRules = [.. MatchSettings.All, .. TimeoutSettings.All, .. RetrySettings.All, .. FaultSettings.All];
}
