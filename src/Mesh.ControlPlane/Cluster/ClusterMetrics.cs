using System.Text;
using Mesh.ControlPlane.Api;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Numbers of a control plane in a cluster.</summary>
internal sealed class ClusterMetrics(LeaderLease lease, Replicas replicas, PodMarks marks, StatusWriter statuses, SharedAuthority authority, ApiCounts counts) : IMoreMetrics
{
    public void Write(StringBuilder text)
    {
        PrometheusText.Add(text, "mesh_controlplane_leader", "gauge", "1 while this replica leads.", lease.IsLeader ? 1 : 0);
        PrometheusText.Add(text, "mesh_controlplane_leader_terms_total", "counter", "How often this replica began to lead.", lease.Terms);
        PrometheusText.Add(text, "mesh_controlplane_lease_age_seconds", "gauge", "Since the lease was last seen renewed, by whomever; -1 before it was seen.", (long?)lease.Age?.TotalSeconds ?? -1);
        PrometheusText.Add(text, "mesh_controlplane_replicas", "gauge", "Replicas that live, this one too.", 1 + replicas.Others.Count(o => !o.IsOver));
        PrometheusText.Add(text, "mesh_controlplane_marks_waiting", "gauge", "Marks of meshed workloads that are not written yet.", marks.Waiting);
        PrometheusText.Add(text, "mesh_controlplane_statuses_written_total", "counter", "Objects whose status this replica wrote.", statuses.Written);
        PrometheusText.Add(text, "mesh_controlplane_authority_refused", "gauge", "1 while the authority's Secret holds what can't be used.", authority.Problem is null ? 0 : 1);
        counts.Write(text);
    }
}
