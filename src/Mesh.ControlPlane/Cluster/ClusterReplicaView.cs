using Mesh.ControlPlane.Api;

namespace Mesh.ControlPlane.Cluster;

/// <summary>The replicas of a cluster, as their ConfigMaps tell.</summary>
internal sealed class ClusterReplicaView(string own, LeaderLease lease, Replicas replicas, TimeProvider time) : ReplicaView
{
    public override string Own => own;

    public override IReadOnlyList<ReplicaEntry> All =>
    [
        .. replicas.Others.Where(o => !o.IsOver).Select(o => new ReplicaEntry(o.Pod, Leader: lease.Holder.StartsWith(o.Pod + "_", StringComparison.Ordinal), Reachable: o.FreshUntil.Left(time) > TimeSpan.Zero))
            .Append(new ReplicaEntry(own, lease.IsLeader, Reachable: true)).OrderBy(r => r.Name, StringComparer.Ordinal),
    ];
}
