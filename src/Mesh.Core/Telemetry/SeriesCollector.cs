namespace Mesh.Telemetry;

/// <summary>The one who collects in a process: takes what came in each series since the last look, and lets those go that are idle. Not thread-safe: owned by one loop, and there is one.</summary>
/// <param name="counters">Null: only durations are looked at.</param>
internal sealed class SeriesCollector(MetricAggregate aggregate, CounterTotals? counters)
{
    /// <param name="durations">Told of each series that counted; null: nobody wants it. Totals keep it in any case.</param>
    /// <param name="counts">Likewise, of counters.</param>
    public void Look(DateTimeOffset now, Action<MetricSeries, DurationDelta>? durations = null, Action<CounterTotal, long>? counts = null)
    {
        foreach (var series in aggregate.Series)
        {
            var delta = series.Durations.Collect();
            if (delta is not null)
            {
                durations?.Invoke(series, delta);
            }

            aggregate.Looked(series, delta is not null, now);
        }

        foreach (var instrument in counters?.Counters ?? [])
        {
            foreach (var series in instrument.All)
            {
                var count = series.Collect();
                if (count != 0)
                {
                    counts?.Invoke(series, count);
                }

                instrument.Looked(series, count != 0, now, MetricAggregate.IdleTimeout);
            }
        }
    }
}
