using System.Diagnostics;

namespace Mesh.Telemetry;

/// <summary>One histogram under one name and one set of tags. Thread-safe.</summary>
/// <remarks>
/// Callers keep it as long as they like. When nothing was recorded for long it expires: its counts are gone, and whoever records next begins a new one under the same tags.
/// Nothing counted is lost meanwhile: a recording is a full fence, then a look whether the series is still alive; expiry is a full fence, then a look whether something came.
/// Whatever both find they take by exchange, so that it counts once.
/// </remarks>
internal sealed class MetricSeries
{
    private readonly MetricAggregate _aggregate;
    private DurationHistogram? _durations = new();
    private MetricSeries? _next;

    internal MetricSeries(MetricAggregate aggregate, string key, string name, IReadOnlyList<KeyValuePair<string, string>> tags, DateTimeOffset start) =>
        (_aggregate, Key, Name, Tags, Start, LastRecorded) = (aggregate, key, name, tags, start, start);

    public string Name { get; }

    public IReadOnlyList<KeyValuePair<string, string>> Tags { get; }

    /// <summary>Since when it counts.</summary>
    public DateTimeOffset Start { get; }

    /// <summary>What it has counted; of the series that took its place when it has expired.</summary>
    public DurationHistogram Durations => Volatile.Read(ref _durations) ?? Current.Durations;

    /// <summary>Name and tags as one text.</summary>
    internal string Key { get; }

    internal bool IsExpired => Volatile.Read(ref _durations) is null;

    /// <summary>As far as the collector has seen; owned by it.</summary>
    internal DateTimeOffset LastRecorded { get; set; }

    private MetricSeries Current
    {
        get
        {
            var next = Volatile.Read(ref _next);
            if (next is null or { IsExpired: true })
            {
                Volatile.Write(ref _next, next = _aggregate.Again(this));
            }

            return next;
        }
    }

    public void Record(TimeSpan duration)
    {
        var durations = Volatile.Read(ref _durations);
        if (durations is null)
        {
            Current.Record(duration);
            return;
        }

        durations.Record(duration);
        if (Volatile.Read(ref _durations) is null)
        {
            Rescue(durations);
        }
    }

    /// <summary>The same, and the span is an example of it when it is sampled: a graph leads to its trace.</summary>
    /// <param name="span">Null where nobody traces.</param>
    public void Record(TimeSpan duration, Activity? span)
    {
        Record(duration);
        if (span is { Recorded: true })
        {
            Durations.Exemplar.Offer(span, duration);
        }
    }

    /// <summary>Adds what was recorded elsewhere.</summary>
    internal void Add(DurationDelta delta)
    {
        var durations = Volatile.Read(ref _durations);
        if (durations is null)
        {
            Current.Add(delta);
            return;
        }

        durations.Add(delta);
        if (Volatile.Read(ref _durations) is null)
        {
            Rescue(durations);
        }
    }

    /// <summary>Its counts are gone. What was recorded meanwhile goes to the one that takes its place. By the one who collects deltas, right after a look that found none.</summary>
    internal void Expire()
    {
        if (Interlocked.Exchange(ref _durations, null) is { } durations)
        {
            Rescue(durations);
        }
    }

    private void Rescue(DurationHistogram durations)
    {
        if (durations.Collect() is { } late)
        {
            Current.Add(late);
        }
    }
}
