using System.Collections.Concurrent;

namespace Mesh.Telemetry;

/// <summary>All series of this process: the one place a measurement is recorded (contracts §7). Thread-safe.</summary>
/// <remarks>
/// Callers keep the <see cref="MetricSeries"/> they got, so that a call looks nothing up. Series are capped; what does not fit is counted in one overflow series.
/// A series that nothing was recorded in for <paramref name="idleTimeout"/> goes; the same tags begin anew.
/// </remarks>
/// <param name="time">Null is the system's.</param>
/// <param name="idleTimeout">Null is <see cref="IdleTimeout"/>.</param>
internal sealed class MetricAggregate(TimeProvider? time = null, TimeSpan? idleTimeout = null)
{
    /// <summary>Most series kept; the next ones share one with the tag <c>otel.metric.overflow</c> (OpenTelemetry's name).</summary>
    public const int MaxSeries = 2000;

    /// <summary>How long a series stays after its last recording (Linkerd's time).</summary>
    public static readonly TimeSpan IdleTimeout = TimeSpan.FromMinutes(10);

    private readonly ConcurrentDictionary<string, MetricSeries> _series = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, long> _overflowed = new(StringComparer.Ordinal);
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly TimeSpan _idleTimeout = idleTimeout ?? IdleTimeout;

    // Counted by itself: the dictionary's own count takes all its locks. A race may let in a few more than the cap.
    private int _count;

    /// <summary>Nobody is to count anything: the operator does not want it.</summary>
    public bool IsOff { get; init; }

    /// <summary>Series that are kept.</summary>
    public int Count => Volatile.Read(ref _count);

    public IEnumerable<MetricSeries> Series => _series.Values;

    /// <summary>By metric, how often a series was asked for that did not fit.</summary>
    public IEnumerable<KeyValuePair<string, long>> Overflowed => _overflowed;

    /// <summary>The series with this name and these tags; made when it is new.</summary>
    public MetricSeries Get(string name, params KeyValuePair<string, string>[] tags)
    {
        var key = name + '\n' + string.Join('\n', tags.Select(t => t.Key + '=' + t.Value));
        return _series.TryGetValue(key, out var known) ? known : Add(key, name, tags);
    }

    /// <summary>The collector looked at a series: it goes when nothing has been recorded for long.</summary>
    /// <param name="recorded">Something was recorded since the last look. All of it was collected.</param>
    /// <param name="now">The moment of the look.</param>
    public void Looked(MetricSeries series, bool recorded, DateTimeOffset now)
    {
        if (recorded)
        {
            series.LastRecorded = now;
        }
        else if (now - series.LastRecorded >= _idleTimeout && _series.TryRemove(KeyValuePair.Create(series.Key, series)))
        {
            Interlocked.Decrement(ref _count);
            series.Expire();
        }
    }

    /// <summary>The series that takes the place of an expired one.</summary>
    internal MetricSeries Again(MetricSeries expired) =>
        _series.TryGetValue(expired.Key, out var known) && !known.IsExpired ? known : Add(expired.Key, expired.Name, expired.Tags);

    private MetricSeries Add(string key, string name, IReadOnlyList<KeyValuePair<string, string>> tags)
    {
        if (Count >= MaxSeries)
        {
            _overflowed.AddOrUpdate(name, 1, (_, count) => count + 1);
            (key, tags) = (name, [new("otel.metric.overflow", "true")]);
            if (_series.TryGetValue(key, out var shared))
            {
                return shared;
            }
        }

        var made = new MetricSeries(this, key, name, tags, _time.GetUtcNow());
        var series = _series.GetOrAdd(key, made);
        if (ReferenceEquals(series, made))
        {
            Interlocked.Increment(ref _count);
        }

        return series;
    }
}
