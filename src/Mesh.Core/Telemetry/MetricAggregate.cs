using System.Collections.Concurrent;

namespace Mesh.Telemetry;

/// <summary>All series of this process: the one place a measurement is recorded (contracts §7). Thread-safe.</summary>
/// <remarks>Callers keep the <see cref="MetricSeries"/> they got, so that a call looks nothing up. Series are capped; what does not fit is counted in one overflow series.</remarks>
internal sealed class MetricAggregate
{
    /// <summary>Most series kept; the next ones share one with the tag <c>otel.metric.overflow</c> (OpenTelemetry's name).</summary>
    public const int MaxSeries = 2000;

    private readonly ConcurrentDictionary<string, MetricSeries> _series = new(StringComparer.Ordinal);

    /// <summary>The series with this name and these tags; made when it is new.</summary>
    public MetricSeries Get(string name, params KeyValuePair<string, string>[] tags)
    {
        var key = name + '\n' + string.Join('\n', tags.Select(t => t.Key + '=' + t.Value));
        if (_series.TryGetValue(key, out var known))
        {
            return known;
        }

        return _series.Count < MaxSeries
            ? _series.GetOrAdd(key, _ => new MetricSeries(name, tags))
            : _series.GetOrAdd(name, _ => new MetricSeries(name, [new("otel.metric.overflow", "true")]));
    }

    public IEnumerable<MetricSeries> Series => _series.Values;
}
