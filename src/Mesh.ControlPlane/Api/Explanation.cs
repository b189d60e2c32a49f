namespace Mesh.ControlPlane.Api;

/// <summary>What holds for calls to a Service, and who said so.</summary>
/// <param name="Caller"><c>namespace/account</c>; null: as any caller of the Service's own namespace is served.</param>
internal sealed record Explanation(string Service, string Namespace, string? Caller, IReadOnlyList<ExplainedPort> Ports);

/// <param name="Rules">In the order in which they are asked; none: every call goes to the Service.</param>
/// <param name="Unmatched">What becomes of calls that no rule takes; null: there are none.</param>
internal sealed record ExplainedPort(int Port, string Name, IReadOnlyList<ExplainedSetting> Settings, IReadOnlyList<ExplainedRule> Rules, string? Unmatched)
{
    /// <summary>TLSRoutes and TCPRoutes, for what sidecars carry and is not read as HTTP, in the order in which they are asked.</summary>
    public IReadOnlyList<ExplainedConnection> Connections { get; init; } = [];
}

/// <param name="Takes">Server names of a TLSRoute; empty for every connection.</param>
internal sealed record ExplainedConnection(string Kind, string Namespace, string Name, string Where, IReadOnlyList<string> Takes, IReadOnlyList<ExplainedBackend> Backends);

/// <param name="Value">As people read it.</param>
internal sealed record ExplainedSetting(string Name, string Value, ExplainedSource Source);

/// <param name="Kind"><c>default</c>, a policy's kind, or the route's whose own field it is; the rest is null for a default.</param>
/// <param name="Where">File and line.</param>
internal sealed record ExplainedSource(string Kind, string? Namespace, string? Name, string? Field, string? Where)
{
    public static readonly ExplainedSource Default = new("default", null, null, null, null);
}

/// <param name="Rule">Its name, else its position.</param>
/// <param name="Applies">False: kept for other callers than this one.</param>
/// <param name="Filters">What it does beside forwarding, or in place of it.</param>
/// <param name="Settings">Where the rule differs from the Service.</param>
internal sealed record ExplainedRule(
    string Kind, string Namespace, string Name, string Rule, string Where, bool Applies,
    IReadOnlyList<string> Matches, IReadOnlyList<ExplainedBackend> Backends, IReadOnlyList<string> Filters, IReadOnlyList<ExplainedSetting> Settings);

/// <param name="Valid">False: its share fails (Gateway API).</param>
internal sealed record ExplainedBackend(string Namespace, string Service, int Port, int Weight, bool Valid);
