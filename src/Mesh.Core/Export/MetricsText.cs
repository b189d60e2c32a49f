using Mesh.Telemetry;

namespace Mesh.Export;

/// <summary>All that a workload of the mesh shows to who scrapes it, in process or by its sidecar. Thread-safe.</summary>
internal sealed class MetricsText(MetricAggregate aggregate, CounterTotals counters, string workload, string @namespace, string instance)
{
    /// <param name="more">What else stands in the same document.</param>
    public IEnumerable<string> Parts(TextFormat format, IEnumerable<string>? more = null)
    {
        yield return PrometheusText.Target(workload, @namespace, instance, format);
        foreach (var part in more ?? [])
        {
            yield return part;
        }

        foreach (var part in PrometheusText.Histograms(aggregate, format))
        {
            yield return part;
        }

        // First: counters that are only known when they are asked are asked with the gauges. One that can't be read is missing; the export says so.
        var gauges = counters.ReadGauges(out _);
        foreach (var part in PrometheusText.Counters(counters, format).Concat(PrometheusText.Gauges(gauges, format)))
        {
            yield return part;
        }

        yield return PrometheusText.End(format);
    }
}
