namespace Mesh.Telemetry;

/// <summary>One histogram under one name and one set of tags. Thread-safe.</summary>
internal sealed class MetricSeries(string name, IReadOnlyList<KeyValuePair<string, string>> tags)
{
    public string Name => name;

    public IReadOnlyList<KeyValuePair<string, string>> Tags => tags;

    public DurationHistogram Durations { get; } = new();
}
