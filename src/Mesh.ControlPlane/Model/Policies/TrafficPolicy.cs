using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>A policy of group <c>policy.meshlib.io</c>, attached as Gateway API says (GEP-713).</summary>
/// <param name="Kind">Such as <c>RetryPolicy</c>.</param>
/// <param name="Where">File and line.</param>
/// <param name="Values">What it says; empty when no version of it was ever valid.</param>
internal sealed record TrafficPolicy(string Kind, ServiceName Name, string Where, ImmutableArray<PolicyAttachment> Attachments, ImmutableArray<SettingValue> Values)
{
    /// <summary>Why its newest version is refused; what is here is then its last good one.</summary>
    public string? Invalid { get; init; }

    /// <summary>After this moment it has no effect; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>Null: it is no object of a cluster.</summary>
    public ObjectOrigin? Origin { get; init; }

    public override string ToString() => $"{Kind} '{Name}'";
}

/// <summary>A policy at one of its targets.</summary>
/// <param name="Reason"><see cref="PolicyReason.Accepted"/>, or why it has no effect there.</param>
/// <param name="Message">For people.</param>
internal sealed record PolicyAttachment(PolicyTarget Target, PolicyReason Reason, string Message)
{
    public bool IsAccepted => Reason == PolicyReason.Accepted;

    /// <summary>Of a policy that must not be left out (authorization): it can't be held there, so what it targets is closed but for probes.</summary>
    public bool Closes { get; init; }

    /// <summary>What it targets can't be told apart at the server: with <see cref="Closes"/> whole workloads are.</summary>
    public bool Whole { get; init; }
}

/// <summary>Reasons of the condition <c>Accepted</c> (Gateway API, PolicyConditionReason), and <see cref="Expired"/> of ours.</summary>
internal enum PolicyReason
{
    Accepted,
    Conflicted,
    Invalid,
    TargetNotFound,
    Expired,
}

/// <summary>What a policy is attached to, in its own namespace.</summary>
/// <param name="Section">A Service's port or a route's rule, by name; null is all of it.</param>
internal sealed record PolicyTarget(PolicyTargetKind Kind, string Name, string? Section)
{
    /// <summary>Workloads by labels: the name is the selector's one spelling, <c>app=cart,tier=web</c>.</summary>
    public static PolicyTarget Workloads(IEnumerable<KeyValuePair<string, string>> labels) =>
        new(PolicyTargetKind.Workload, string.Join(',', labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}")), null);

    /// <summary>Of a target of kind Workload: every label of the selector is there.</summary>
    public bool Selects(IReadOnlyDictionary<string, string> labels) =>
        Name.Split(',').All(l => l.Split('=') is [var key, var value] && labels.TryGetValue(key, out var has) && has == value);

    public override string ToString() => Kind == PolicyTargetKind.Workload ? $"workloads with {Name}" : Section is null ? $"{Kind} '{Name}'" : $"{Kind} '{Name}', section '{Section}'";
}

/// <summary>Named as the kinds are. The order is that of the hierarchy: later is more specific.</summary>
internal enum PolicyTargetKind
{
    /// <summary>Every Service of the policy's namespace.</summary>
    Namespace,

    /// <summary>What has certain labels, on all its ports.</summary>
    Workload,
    Service,
    HTTPRoute,
    GRPCRoute,
}

/// <summary>What somebody said about a setting.</summary>
internal sealed record SettingValue(Setting Setting, object Value, SettingSource Source);

/// <summary>Who said it.</summary>
/// <param name="Kind">Of the policy or route.</param>
/// <param name="Field">The path of the field, such as <c>spec.attempts</c>.</param>
/// <param name="Where">File and line of the field.</param>
internal sealed record SettingSource(string Kind, ServiceName Name, string Field, string Where);
