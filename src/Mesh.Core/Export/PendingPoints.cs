using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>What the control plane has not yet got of one series. Owned by the exporter's loop.</summary>
/// <remarks>What comes later is added to it, so that an outage of any length costs the same memory.</remarks>
internal abstract class PendingPoint(string name, string unit, IReadOnlyList<KeyValuePair<string, string>> tags, DateTimeOffset start)
{
    public string Name => name;

    public string Unit => unit;

    public IReadOnlyList<KeyValuePair<string, string>> Tags => tags;

    public DateTimeOffset Start { get; } = start;

    public DateTimeOffset End { get; protected set; } = start;
}

/// <summary>Durations.</summary>
internal sealed class PendingDurations(MetricSeries series, DateTimeOffset start, int buckets) : PendingPoint(series.Name, "s", series.Tags, start)
{
    public TimeSpan Sum { get; private set; }

    public long[] Counts { get; } = new long[buckets];

    /// <summary>The latest; null when nobody traced.</summary>
    public Exemplar? Exemplar { get; private set; }

    public void Add(DurationDelta delta, Exemplar? exemplar, DateTimeOffset end)
    {
        (End, Exemplar) = (end, exemplar ?? Exemplar);
        Sum += delta.Sum;
        for (var i = 0; i < Counts.Length; i++)
        {
            Counts[i] += delta.Counts[i];
        }
    }
}

/// <summary>What a counter counted.</summary>
internal sealed class PendingCount(CounterTotal total, DateTimeOffset start) : PendingPoint(total.Name, total.Unit, total.Tags, start)
{
    public long Count { get; private set; }

    public void Add(long count, DateTimeOffset end) => (Count, End) = (Count + count, end);
}

/// <summary>A gauge as it is: never kept, the next look has the next value.</summary>
internal sealed class PendingGauge(GaugeSample sample, DateTimeOffset at) : PendingPoint(sample.Instrument.Name, sample.Instrument.Unit ?? string.Empty, sample.Tags, at)
{
    public double Value => sample.Value;
}
