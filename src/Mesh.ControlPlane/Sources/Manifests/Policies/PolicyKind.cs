using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>A kind of group <c>policy.meshlib.io</c>: where it may be attached, and who reads its fields.</summary>
/// <param name="Read">Reads the fields below <c>spec</c> other than <c>targetRefs</c>.</param>
internal sealed record PolicyKind(string Name, ImmutableArray<PolicyTargetKind> Targets, Action<PolicyFields> Read)
{
    /// <summary>Any number may stand at one target: they hold together. Else the oldest wins.</summary>
    public bool IsAdditive { get; init; }

    /// <summary>Leaving it out would let in whom it keeps out: where it can't be held, its target is closed.</summary>
    public bool Closes { get; init; }

    /// <summary>Workloads may be named by labels, in <c>spec.selector</c>.</summary>
    public bool HasSelector => Targets.Contains(PolicyTargetKind.Workload);

    public const string ApiVersion = "policy." + Annotations.Domain + "/v1alpha1";

    public static readonly ImmutableArray<PolicyTargetKind> Services = [PolicyTargetKind.Service, PolicyTargetKind.Namespace];
    public static readonly ImmutableArray<PolicyTargetKind> Workloads = [.. Services, PolicyTargetKind.Workload];
    public static readonly ImmutableArray<PolicyTargetKind> Routes = [PolicyTargetKind.HTTPRoute, PolicyTargetKind.GRPCRoute];
}

/// <summary>All kinds. Another one is a line here, its reader, its settings in Model and a hook in Translation.</summary>
internal static class PolicyKinds
{
    public static readonly ImmutableArray<PolicyKind> All =
    [
        RetryPolicyReader.Kind, TimeoutPolicyReader.Kind, LoadBalancingPolicyReader.Kind, OutlierPolicyReader.Kind,
        RateLimitPolicyReader.Kind, FaultPolicyReader.Kind, ConcurrencyPolicyReader.Kind, MatchPolicyReader.Kind,
        AuthorizationPolicyReader.Kind, ServerPolicyReader.Kind, RequestAuthenticationReader.Kind,
    ];

    public static PolicyKind? Find(string name) => All.FirstOrDefault(k => k.Name == name);
}

/// <summary>One valid policy of a file.</summary>
/// <param name="Created"><c>metadata.creationTimestamp</c>: the oldest wins; null counts as the newest.</param>
internal sealed record PolicyManifest(
    ManifestKey Key, string Where, DateTimeOffset? Created, ImmutableArray<PolicyTargetManifest> Targets, ImmutableArray<SettingValue> Values)
    : Manifest(Key, Where)
{
    /// <summary>After this moment it has no effect; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
}

internal sealed record PolicyTargetManifest(PolicyTarget Target, string Where);
