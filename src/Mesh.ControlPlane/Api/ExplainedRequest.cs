namespace Mesh.ControlPlane.Api;

/// <summary>What becomes of one request: where it goes, and whether it is let in there.</summary>
/// <param name="Caller">A SPIFFE ID; null: from outside of the mesh.</param>
/// <param name="Allowed">At every endpoint that it may reach; null: it reaches none.</param>
/// <param name="Routing">Null for a caller from outside, who is in nobody's routes.</param>
internal sealed record ExplainedRequest(
    string? Caller, string Service, string Namespace, int Port, string Method, string Path, bool? Allowed, ExplainedRouting? Routing, IReadOnlyList<ExplainedVerdict> Verdicts);

/// <param name="Route">As on the wire: <c>namespace/route/rule</c>; <c>default</c> where no route is attached.</param>
/// <param name="Where">File and line of the rule; null where there is none.</param>
/// <param name="Action">For people.</param>
/// <param name="Backends">Where it may go; none: it is answered at once.</param>
internal sealed record ExplainedRouting(string Route, string? Where, string Action, IReadOnlyList<ExplainedBackend> Backends);

/// <summary>How endpoints judge it: those that judge alike are one verdict.</summary>
/// <param name="Service">The backend.</param>
/// <param name="Endpoints">Their addresses.</param>
/// <param name="Plaintext">It arrives without mesh TLS.</param>
/// <param name="Decision">For people.</param>
/// <param name="Stage"><c>deny</c>, <c>allow</c>, <c>default</c>, <c>none</c>; <c>plaintext</c> or <c>ambiguous</c> where it is refused as such.</param>
/// <param name="Rule">The rule that decided, <c>namespace/policy/rule</c>; null where none did.</param>
/// <param name="Where">File and line of that rule; null where it stands in no file.</param>
/// <param name="Nearest">Where nothing allowed it: the rules that came nearest.</param>
/// <param name="Audit">What rules in audit mode would decide; null where there are none.</param>
internal sealed record ExplainedVerdict(
    string Service, string Namespace, int Port, IReadOnlyList<string> Endpoints, bool Plaintext, bool Allowed, string Stage, string Decision,
    string? Rule, string? Where, IReadOnlyList<ExplainedNearRule> Nearest, string? Audit);

/// <param name="Failed">Its first condition that did not hold, with the value seen.</param>
internal sealed record ExplainedNearRule(string Rule, string? Where, string Failed);
