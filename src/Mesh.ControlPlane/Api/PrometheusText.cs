using System.Globalization;
using System.Text;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;

namespace Mesh.ControlPlane.Api;

/// <summary>Numbers of a part that not every control plane has.</summary>
internal interface IMoreMetrics
{
    void Write(StringBuilder text);
}

/// <summary>The control plane's own numbers in Prometheus' text format.</summary>
internal static class PrometheusText
{
    public static IResult Write(
        ClientRegistry clients, IssuanceLog issued, ModelStore store, GoldenStore golden, AuthorityKeeper keeper, IModelSource source, IDataPlanes dataPlanes, IEnumerable<IMoreMetrics> more, TimeProvider time)
    {
        var text = new StringBuilder();
        Add(text, "mesh_controlplane_clients", "gauge", "Open ADS streams.", clients.Count);
        Add(text, "mesh_controlplane_acks_total", "counter", "Responses that clients took.", clients.Acks);
        Add(text, "mesh_controlplane_nacks_total", "counter", "Responses that clients refused.", clients.Nacks);
        Add(text, "mesh_controlplane_pushes_total", "counter", "Responses sent to clients.", clients.Pushes);
        var (acknowledged, seconds) = clients.PushTimes;
        text.Append("# HELP mesh_controlplane_push_seconds From sending a response to its acknowledgement.\n# TYPE mesh_controlplane_push_seconds summary\n")
            .Append(CultureInfo.InvariantCulture, $"mesh_controlplane_push_seconds_sum {seconds:0.######}\nmesh_controlplane_push_seconds_count {acknowledged}\n");
        Add(text, "mesh_controlplane_tap_data_planes", "gauge", "Data planes that can be asked for requests as they pass.", dataPlanes.Count);
        Add(text, "mesh_controlplane_certificates_issued_total", "counter", "Workload certificates issued.", issued.Count);
        Add(text, "mesh_controlplane_certificates_refused_total", "counter", "Requests for workload certificates refused.", issued.Refused);
        var (state, now) = (keeper.State, time.GetUtcNow());
        Add(text, "mesh_controlplane_root_expires_seconds", "gauge", "Until the root that signs is over.", (long)(Certificates.NotAfter(state.Signing.Root) - now).TotalSeconds);
        Add(text, "mesh_controlplane_issuer_expires_seconds", "gauge", "Until the issuer is over.", (long)(Certificates.NotAfter(state.Signing.Issuer.Certificate) - now).TotalSeconds);
        Add(text, "mesh_controlplane_root_rotation_phase", "gauge", "How far a change of the root is: 0 none, 1 distributing, 2 issuing, 3 retiring.", (long)state.Phase);
        Add(text, "mesh_controlplane_root_rotation_waiting", "gauge", "Workloads that a change of the root waits for.", keeper.Waits.Count);
        Add(text, "mesh_controlplane_model_problems", "gauge", "Problems in the configuration.", store.Current.Problems.Length);
        Add(text, "mesh_controlplane_telemetry_dropped_total", "counter", "Data points dropped because too many series are known.", golden.Dropped);
        var fill = golden.Fill;
        Add(text, "mesh_controlplane_telemetry_series", "gauge", "Series of measurements that are told apart.", fill.Series);
        Add(text, "mesh_controlplane_telemetry_max_series", "gauge", "Most of them.", fill.MaxSeries);
        Add(text, "mesh_controlplane_telemetry_overflowed_series", "gauge", "Series that found no place.", fill.OverflowedSeries);
        Add(text, "mesh_controlplane_telemetry_store_bytes", "gauge", "What measurements take on disk or in memory.", fill.Bytes);
        Add(text, "mesh_controlplane_telemetry_store_max_bytes", "gauge", "What they take at most.", fill.MaxBytes);
        Add(text, "mesh_controlplane_telemetry_damaged_total", "counter", "Parts of the history that could not be read.", golden.Damaged);
        if (source is IWatchedSource watched)
        {
            AddKinds(text, watched.Kinds, now);
        }

        foreach (var one in more)
        {
            one.Write(text);
        }

        return Results.Text(text.ToString(), "text/plain; version=0.0.4; charset=utf-8");
    }

    private static void AddKinds(StringBuilder text, IReadOnlyList<KindState> kinds, DateTimeOffset now)
    {
        Add("mesh_controlplane_kubernetes_objects", "gauge", "Objects known, by kind.", k => k.Objects);
        Add("mesh_controlplane_kubernetes_events_total", "counter", "Changes told by the API server, by kind.", k => k.Events);
        Add("mesh_controlplane_kubernetes_lists_total", "counter", "How often all objects of a kind were read; more than one is a watch that was lost for too long.", k => k.Lists);
        Add("mesh_controlplane_kubernetes_synced", "gauge", "1 when all of a kind was read, or the cluster does not have it.", k => k.Synced ? 1 : 0);
        Add("mesh_controlplane_kubernetes_heard_age_seconds", "gauge", "Since the API server last said anything of a kind, a bookmark too.", k => k.Exists && k.Heard is { } heard ? (long)Math.Max(0, (now - heard).TotalSeconds) : null);

        void Add(string name, string type, string help, Func<KindState, long?> value)
        {
            text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n");
            foreach (var kind in kinds)
            {
                if (value(kind) is { } number)
                {
                    text.Append(CultureInfo.InvariantCulture, $"{name}{{kind=\"{kind.Kind}\"}} {number}\n");
                }
            }
        }
    }

    public static void Add(StringBuilder text, string name, string type, string help, long value) =>
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n{name} {value}\n");
}
