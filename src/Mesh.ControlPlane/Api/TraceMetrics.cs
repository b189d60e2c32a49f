using System.Globalization;
using System.Text;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>Numbers of traces, and of telemetry that came again or is given on.</summary>
internal sealed class TraceMetrics(TraceStore store, TakenReports taken, OtlpForwarder? forwarder = null) : IMoreMetrics
{
    public void Write(StringBuilder text)
    {
        var counts = store.Counts;
        PrometheusText.Add(text, "mesh_controlplane_traces", "gauge", "Traces that are kept.", counts.Traces);
        PrometheusText.Add(text, "mesh_controlplane_traces_bytes", "gauge", "What they take in memory, about.", counts.Bytes);
        PrometheusText.Add(text, "mesh_controlplane_spans_total", "counter", "Spans that workloads sent.", counts.Taken);
        PrometheusText.Add(text, "mesh_controlplane_spans_dropped_total", "counter", "Spans of traces that were too long.", counts.Dropped);
        PrometheusText.Add(text, "mesh_controlplane_telemetry_repeated_total", "counter", "Reports that came again because their answer got lost, and were not counted again.", taken.Repeated);
        if (forwarder is not { } given)
        {
            return;
        }

        PrometheusText.Add(text, "mesh_controlplane_otlp_waiting_bytes", "gauge", "Telemetry that waits to be given on.", given.WaitingBytes);
        BySignal("mesh_controlplane_otlp_messages_total", "Messages of workloads that were given on.", given.Sent);
        BySignal("mesh_controlplane_otlp_messages_dropped_total", "Messages of workloads that the collector did not get.", given.Dropped);
        BySignal("mesh_controlplane_otlp_rejected_total", "Data points and spans that the collector did not take of messages that it took.", given.Rejected);
        BySignal("mesh_controlplane_otlp_retries_total", "How often something was sent to the collector again.", given.Retried);

        void BySignal(string name, string help, Func<OtlpSignal, long> value) => text.Append(
            CultureInfo.InvariantCulture,
            $"# HELP {name} {help}\n# TYPE {name} counter\n{name}{{signal=\"traces\"}} {value(OtlpSignal.Traces)}\n{name}{{signal=\"metrics\"}} {value(OtlpSignal.Metrics)}\n");
    }
}
