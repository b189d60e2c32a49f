using System.Globalization;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Checks;

/// <summary>Whether somebody leads, and whether the loss of a node takes the control plane.</summary>
internal static class LeaderChecks
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-040", "leader", "a replica leads", async (facts, cancellationToken) =>
        {
            var lease = await facts.GetAsync($"/apis/coordination.k8s.io/v1/namespaces/{InstallManifest.Namespace}/leases/{InstallManifest.Name}", cancellationToken);
            const string Fix = "kubectl -n mesh-system logs deploy/mesh-control-plane: does a replica run, and may it write the Lease?";
            if (lease.Text("spec", "holderIdentity") is not { Length: > 0 } holder)
            {
                return Finding.Error("nobody: no status is written, no root is changed, webhooks are not trusted", Fix);
            }

            var renewed = DateTimeOffset.TryParse(lease.Text("spec", "renewTime"), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : DateTimeOffset.MinValue;
            var late = await facts.NowAsync(cancellationToken) - renewed;
            return late <= TimeSpan.FromSeconds(lease.Number("spec", "leaseDurationSeconds") ?? 15) + Patience ? null
                : Finding.Error(string.Create(CultureInfo.InvariantCulture, $"{holder} did last at {renewed:u}"), Fix);
        }),
        new("MESH-CHK-060", "high availability", "replicas are on different nodes", async (facts, cancellationToken) =>
        {
            var values = await facts.ValuesAsync(cancellationToken);
            var wanted = values.Number("controlPlane.replicas");
            if (wanted < 2)
            {
                return null;
            }

            var nodes = (await facts.ListAsync($"{ClusterFacts.System}/pods?labelSelector=" + Uri.EscapeDataString($"app.kubernetes.io/name={InstallManifest.Name}"), cancellationToken))
                .Where(MeshedPods.Runs).Select(p => p.Text("spec", "nodeName")).OfType<string>().Distinct().Count();
            return nodes >= wanted ? null : Finding.Warning($"{wanted} replicas are wanted, and they are on {Skew.Count(nodes, "node")}", "add nodes, or fewer replicas: --set controlPlane.replicas=N");
        }),
        new("MESH-CHK-061", "high availability", "the loss of one replica is not felt", async (facts, cancellationToken) =>
        {
            var values = await facts.ValuesAsync(cancellationToken);
            var replicas = values.Number("controlPlane.replicas");
            return values.IsHa && replicas < 3 ? Finding.Warning($"ha is set, with {replicas} replicas", "mesh upgrade --set controlPlane.replicas=3 | kubectl apply -f -")
                : !values.IsHa && values.Text("webhooks.failurePolicy") == "Fail" ? Finding.Warning("webhooks.failurePolicy is Fail without ha: while the one replica restarts no pod is created in the cluster", "mesh upgrade --ha | kubectl apply -f -")
                : null;
        }),
    ];
}
