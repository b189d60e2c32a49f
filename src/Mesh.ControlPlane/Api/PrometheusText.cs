using System.Globalization;
using System.Text;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Model;
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
    public static IResult Write(ClientRegistry clients, IssuanceLog issued, ModelStore store, GoldenStore golden, AuthorityKeeper keeper, IEnumerable<IMoreMetrics> more, TimeProvider time)
    {
        var text = new StringBuilder();
        Add(text, "mesh_controlplane_clients", "gauge", "Open ADS streams.", clients.Count);
        Add(text, "mesh_controlplane_acks_total", "counter", "Responses that clients took.", clients.Acks);
        Add(text, "mesh_controlplane_nacks_total", "counter", "Responses that clients refused.", clients.Nacks);
        Add(text, "mesh_controlplane_certificates_issued_total", "counter", "Workload certificates issued.", issued.Count);
        Add(text, "mesh_controlplane_certificates_refused_total", "counter", "Requests for workload certificates refused.", issued.Refused);
        var (state, now) = (keeper.State, time.GetUtcNow());
        Add(text, "mesh_controlplane_root_expires_seconds", "gauge", "Until the root that signs is over.", (long)(Certificates.NotAfter(state.Signing.Root) - now).TotalSeconds);
        Add(text, "mesh_controlplane_issuer_expires_seconds", "gauge", "Until the issuer is over.", (long)(Certificates.NotAfter(state.Signing.Issuer.Certificate) - now).TotalSeconds);
        Add(text, "mesh_controlplane_root_rotation_phase", "gauge", "How far a change of the root is: 0 none, 1 distributing, 2 issuing, 3 retiring.", (long)state.Phase);
        Add(text, "mesh_controlplane_root_rotation_waiting", "gauge", "Workloads that a change of the root waits for.", keeper.Waits.Count);
        Add(text, "mesh_controlplane_model_problems", "gauge", "Problems in the configuration folder.", store.Current.Problems.Length);
        Add(text, "mesh_controlplane_telemetry_dropped_total", "counter", "Data points dropped because too many pairs or endpoints are known.", golden.Dropped);
        foreach (var one in more)
        {
            one.Write(text);
        }

        return Results.Text(text.ToString(), "text/plain; version=0.0.4; charset=utf-8");
    }

    public static void Add(StringBuilder text, string name, string type, string help, long value) =>
        text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {type}\n{name} {value}\n");
}
