namespace Mesh.Cli.Output;

/// <summary>What the API answers to <c>/api/v1/explain/request</c>.</summary>
internal sealed record ExplainedRequest(
    string? Caller, string Service, string Namespace, int Port, string Method, string Path, bool? Allowed, ExplainedRouting? Routing, IReadOnlyList<ExplainedVerdict> Verdicts);

internal sealed record ExplainedRouting(string Route, string? Where, string Action, IReadOnlyList<ExplainedBackend> Backends);

internal sealed record ExplainedVerdict(
    string Service, string Namespace, int Port, IReadOnlyList<string> Endpoints, bool Plaintext, bool Allowed, string Stage, string Decision,
    string? Rule, string? Where, IReadOnlyList<ExplainedNearRule> Nearest, string? Audit);

internal sealed record ExplainedNearRule(string Rule, string? Where, string Failed);
