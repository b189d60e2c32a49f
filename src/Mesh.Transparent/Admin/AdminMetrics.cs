using Mesh.Export;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Telemetry;

namespace Mesh.Transparent.Admin;

/// <summary>All that <c>/metrics</c> says.</summary>
/// <param name="counters">Null: none are kept.</param>
internal sealed class AdminMetrics(
    MetricAggregate aggregate, CounterTotals? counters, IWorkloadIdentitySource identity, ISidecarState state, AccessLog accessLog, LocalNode node, TimeProvider time)
{
    private readonly DateTimeOffset _started = time.GetUtcNow();

    /// <summary>More families, in Prometheus' text format.</summary>
    public Func<IEnumerable<string>>? More { get; set; }

    public IEnumerable<string> Parts()
    {
        yield return PrometheusText.Gauge(
            "mesh.proxy.info", "1", "What this proxy is.",
            ([new("version", typeof(AdminMetrics).Assembly.GetName().Version?.ToString(3) ?? string.Empty), new("workload", node.Workload), new("namespace", node.Namespace)], 1));
        yield return PrometheusText.Gauge("mesh.proxy.ready", "1", "Whether the proxy is ready.", ([], state.NotReadyBecause().Count == 0 ? 1 : 0));
        yield return PrometheusText.Gauge("process.start_time", "s", "When the proxy started, in seconds since 1970.", ([], Seconds(_started)));
        yield return PrometheusText.Gauge("process.resident_memory", "By", "Resident memory.", ([], Environment.WorkingSet));
        if (identity.Current is { } current)
        {
            yield return PrometheusText.Gauge("mesh.identity.certificate.expiration", "s", "When this workload's certificate is over, in seconds since 1970.", ([], Seconds(current.Svid.NotAfter)));
            yield return PrometheusText.Gauge("mesh.identity.certificate.generation", "1", "How many certificates there have been.", ([], current.LeafGeneration));
        }

        if (accessLog.IsOn)
        {
            yield return PrometheusText.Gauge("mesh.proxy.access_log.dropped", "1", "Lines of the access log that nobody read fast enough.", ([], accessLog.Dropped));
        }

        foreach (var part in PrometheusText.Histograms(aggregate))
        {
            yield return part;
        }

        foreach (var part in counters is null ? [] : PrometheusText.Counters(counters))
        {
            yield return part;
        }

        foreach (var part in More?.Invoke() ?? [])
        {
            yield return part;
        }
    }

    private static double Seconds(DateTimeOffset time) => (time - DateTimeOffset.UnixEpoch).TotalSeconds;
}
