using Mesh.Export;
using Mesh.Hosting;
using Mesh.Server.Logging;

namespace Mesh.Transparent.Admin;

/// <summary>All that <c>/metrics</c> says: what every workload shows, and what only a proxy has.</summary>
internal sealed class AdminMetrics(MetricsText metrics, ISidecarState state, AccessLog accessLog, LocalNode node, TimeProvider time)
{
    private readonly DateTimeOffset _started = time.GetUtcNow();

    public IEnumerable<string> Parts(TextFormat format) => metrics.Parts(format, Own(format));

    private IEnumerable<string> Own(TextFormat format)
    {
        yield return PrometheusText.Gauge(
            "mesh.proxy.info", "1", "What this proxy is.", format,
            ([new("version", typeof(AdminMetrics).Assembly.GetName().Version?.ToString(3) ?? string.Empty), new("workload", node.Workload), new("namespace", node.Namespace)], 1));
        yield return PrometheusText.Gauge("mesh.proxy.ready", "1", "Whether the proxy is ready.", format, ([], state.NotReadyBecause().Count == 0 ? 1 : 0));
        yield return PrometheusText.Gauge("process.start_time", "s", "When the proxy started, in seconds since 1970.", format, ([], (_started - DateTimeOffset.UnixEpoch).TotalSeconds));
        yield return PrometheusText.Gauge("process.resident_memory", "By", "Resident memory.", format, ([], Environment.WorkingSet));
        if (accessLog.IsOn)
        {
            yield return PrometheusText.Gauge("mesh.proxy.access_log.dropped", "1", "Lines of the access log that nobody read fast enough.", format, ([], accessLog.Dropped));
        }
    }
}
