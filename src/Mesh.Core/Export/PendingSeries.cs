using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>What one series counted and the control plane has not yet got. Owned by the exporter's loop.</summary>
/// <remarks>A later delta is added to it, so that an outage of any length costs the same memory.</remarks>
internal sealed class PendingSeries(MetricSeries series, DateTimeOffset start, int buckets)
{
    public MetricSeries Series => series;

    public DateTimeOffset Start { get; } = start;

    public DateTimeOffset End { get; private set; } = start;

    public TimeSpan Sum { get; private set; }

    public long[] Counts { get; } = new long[buckets];

    public void Add(DurationDelta delta, DateTimeOffset end)
    {
        End = end;
        Sum += delta.Sum;
        for (var i = 0; i < Counts.Length; i++)
        {
            Counts[i] += delta.Counts[i];
        }
    }
}
