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

    public override string ToString() => $"{Kind} '{Name}'";
}

/// <summary>A policy at one of its targets.</summary>
/// <param name="Reason"><see cref="PolicyReason.Accepted"/>, or why it has no effect there.</param>
/// <param name="Message">For people.</param>
internal sealed record PolicyAttachment(PolicyTarget Target, PolicyReason Reason, string Message)
{
    public bool IsAccepted => Reason == PolicyReason.Accepted;
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
    public override string ToString() => Section is null ? $"{Kind} '{Name}'" : $"{Kind} '{Name}', section '{Section}'";
}

/// <summary>Named as the kinds are. The order is that of the hierarchy: later is more specific.</summary>
internal enum PolicyTargetKind
{
    /// <summary>Every Service of the policy's namespace.</summary>
    Namespace,
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
