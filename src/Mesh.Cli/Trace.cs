using System.Text.Json;

namespace Mesh.Cli;

/// <summary>A line of what <c>/api/v1/traces</c> answers.</summary>
internal sealed record TraceLine(string TraceId, DateTimeOffset At, string Root, string Workload, string Namespace, double DurationMs, int Spans, bool Failed, IReadOnlyList<string> Services);

/// <summary>What <c>/api/v1/traces/{id}</c> answers.</summary>
internal sealed record Trace(string TraceId, IReadOnlyList<TraceSpan> Spans);

internal sealed record TraceSpan(
    string SpanId, string? ParentId, string Name, string Kind, string Workload, string Namespace, DateTimeOffset Start, double DurationMs, string Status,
    IReadOnlyDictionary<string, JsonElement> Attributes, IReadOnlyList<TraceEvent> Events)
{
    /// <summary>An attribute as text; null where there is none.</summary>
    public string? this[string name] => Attributes.TryGetValue(name, out var value) ? value.ToString() : null;
}

internal sealed record TraceEvent(DateTimeOffset At, string Name, IReadOnlyDictionary<string, JsonElement> Attributes);
