namespace Mesh.Cli.Output;

/// <summary>What <c>/api/v1/explain</c> answers.</summary>
internal sealed record Explanation(string Service, string Namespace, string? Caller, IReadOnlyList<ExplainedPort> Ports);

internal sealed record ExplainedPort(int Port, string Name, IReadOnlyList<ExplainedSetting> Settings, IReadOnlyList<ExplainedRule> Rules, string? Unmatched)
{
    /// <summary>Absent from older control planes.</summary>
    public IReadOnlyList<ExplainedConnection> Connections { get; init; } = [];
}

internal sealed record ExplainedConnection(string Kind, string Namespace, string Name, string Where, IReadOnlyList<string> Takes, IReadOnlyList<ExplainedBackend> Backends);

internal sealed record ExplainedSetting(string Name, string Value, ExplainedSource Source);

internal sealed record ExplainedSource(string Kind, string? Namespace, string? Name, string? Field, string? Where);

internal sealed record ExplainedRule(
    string Kind, string Namespace, string Name, string Rule, string Where, bool Applies,
    IReadOnlyList<string> Matches, IReadOnlyList<ExplainedBackend> Backends, IReadOnlyList<string> Filters, IReadOnlyList<ExplainedSetting> Settings);

internal sealed record ExplainedBackend(string Namespace, string Service, int Port, int Weight, bool Valid);
