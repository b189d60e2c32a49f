namespace Mesh.ControlPlane.Telemetry;

/// <summary>One span of a trace, as a workload sent it. Immutable.</summary>
/// <param name="ParentId">Null where it has none.</param>
/// <param name="Kind"><c>server</c>, <c>client</c> or <c>internal</c>.</param>
/// <param name="Workload">Name and namespace of whoever sent it; the namespace is proved.</param>
/// <param name="Attributes">Values are text, long, double or bool.</param>
internal sealed record StoredSpan(
    string TraceId, string SpanId, string? ParentId, string Name, string Kind, string Workload, string Namespace, DateTimeOffset Start, TimeSpan Duration, bool Failed,
    IReadOnlyDictionary<string, object> Attributes, IReadOnlyList<StoredEvent> Events)
{
    public DateTimeOffset End => Start + Duration;

    /// <summary>A try that failed may have been made good by another one; what a caller or a server saw is final.</summary>
    public bool FailsTrace => Failed && Kind != "internal";

    /// <summary>What it takes in memory, about.</summary>
    public int Bytes { get; } = 300 + Size(Name) + Attributes.Sum(Size) + Events.Sum(e => 80 + Size(e.Name) + e.Attributes.Sum(Size));

    private static int Size(string text) => 24 + (2 * text.Length);

    private static int Size(KeyValuePair<string, object> attribute) => 48 + Size(attribute.Key) + (attribute.Value is string text ? Size(text) : 24);
}

/// <summary>What the mesh decided about a call, and when.</summary>
internal sealed record StoredEvent(DateTimeOffset At, string Name, IReadOnlyDictionary<string, object> Attributes);
