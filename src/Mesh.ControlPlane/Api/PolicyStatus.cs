using System.Text.Json.Serialization;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Api;

/// <summary>A policy and what became of it. Ancestors are shaped as Gateway API's PolicyAncestorStatus.</summary>
/// <param name="Conditions">All ancestors in one.</param>
internal sealed record PolicyStatus(
    string Kind, string Namespace, string Name, string Where,
    IReadOnlyList<TargetReference> Targets, IReadOnlyList<PolicyCondition> Conditions, IReadOnlyList<PolicyAncestor> Ancestors)
{
    private const string Accepted = "Accepted";

    /// <summary>False: some kinds of nodes can't ask all of it; the message says which and what they do instead.</summary>
    private const string FullyEvaluated = "FullyEvaluated";

    /// <summary>Null: it is no object of a cluster.</summary>
    [JsonIgnore]
    public ObjectOrigin? Origin { get; init; }

    public static IReadOnlyList<PolicyStatus> List(MeshModel model) =>
    [
        .. model.Policies.OrderBy(p => p.Name.Namespace, StringComparer.Ordinal).ThenBy(p => p.Kind, StringComparer.Ordinal).ThenBy(p => p.Name.Name, StringComparer.Ordinal)
            .Select(Of),
    ];

    private static PolicyStatus Of(TrafficPolicy policy)
    {
        var ancestors = policy.Attachments.Select(a => new PolicyAncestor(Reference(a.Target), Annotations.Controller, [Condition(policy, a)])).ToList();
        var refused = policy.Attachments.Where(a => !a.IsAccepted).ToList();
        var whole = policy.Invalid is { } invalid ? Invalid(policy, invalid)
            : refused.Count == 0 ? new PolicyCondition(Accepted, "True", nameof(PolicyReason.Accepted), "The policy is in force.")
            : new PolicyCondition(Accepted, "False", refused[0].Reason.ToString(), string.Join(' ', refused.Select(r => $"{r.Target}: {r.Message}")));
        PolicyCondition[] limits = [.. PeerLimits.Of(policy).Select(limit => new PolicyCondition(FullyEvaluated, "False", "NotByAllNodes", limit))];
        return new PolicyStatus(policy.Kind, policy.Name.Namespace, policy.Name.Name, policy.Where, [.. ancestors.Select(a => a.AncestorRef)], [whole, .. limits], ancestors) { Origin = policy.Origin };
    }

    private static PolicyCondition Condition(TrafficPolicy policy, PolicyAttachment attachment) => policy.Invalid is { } invalid
        ? Invalid(policy, invalid)
        : new PolicyCondition(Accepted, attachment.IsAccepted ? "True" : "False", attachment.Reason.ToString(), attachment.Message);

    private static PolicyCondition Invalid(TrafficPolicy policy, string why) =>
        new(Accepted, "False", nameof(PolicyReason.Invalid), why + (
            policy.Attachments.Any(a => a.Closes && policy.Values.IsEmpty) ? " No version of it was ever valid: what it targets is closed but for probes."
            : policy.Values.IsEmpty ? " It is not used." : " The last good version stays in force."));

    private static TargetReference Reference(PolicyTarget target) => new(
        target.Kind is PolicyTargetKind.Service or PolicyTargetKind.Namespace or PolicyTargetKind.Workload ? string.Empty : RouteFields.GatewayGroup,
        target.Kind.ToString(), target.Name, target.Section);
}

/// <param name="Name">For kind Workload the labels, such as <c>app=cart</c>.</param>
/// <param name="SectionName">A Service's port or a route's rule; null is all of it.</param>
internal sealed record TargetReference(string Group, string Kind, string Name, string? SectionName);

internal sealed record PolicyAncestor(TargetReference AncestorRef, string ControllerName, IReadOnlyList<PolicyCondition> Conditions);

/// <param name="Status"><c>True</c> or <c>False</c>, as Kubernetes writes it.</param>
internal sealed record PolicyCondition(string Type, string Status, string Reason, string Message);
