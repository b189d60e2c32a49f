using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Checks;

/// <summary>Whether what was installed is there as it was meant.</summary>
internal static class InstallChecks
{
    private const string Existence = "installation";
    private const string Reinstall = "mesh upgrade | kubectl apply -f -";

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-020", Existence, "the control plane is installed", async (facts, cancellationToken) =>
            await facts.DeploymentAsync(cancellationToken) is null ? Finding.Error($"{InstallManifest.Namespace} has no Deployment {InstallManifest.Name}", "mesh install | kubectl apply -f -") : null) { Stops = true },
        new("MESH-CHK-021", Existence, "what it was installed with can be read", async (facts, cancellationToken) =>
            await StoredValues.FindAsync(facts.Cluster, cancellationToken) is not { } stored ? Finding.Error($"there is no ConfigMap {InstallManifest.ConfigMap}", "mesh install -f … | kubectl apply -f - with the values in use")
            : new InstallValues().Read(stored.Values) is { Count: > 0 } problems ? Finding.Error(string.Join(" ", problems), "mesh upgrade --reset-values -f … | kubectl apply -f -")
            : null),
        new("MESH-CHK-022", Existence, "every kind of policy is defined", DefinitionsAsync),
        new("MESH-CHK-023", Existence, "the control plane has the rights it needs", AccessAsync),
        new("MESH-CHK-024", Existence, "its Service and disruption budget are there", async (facts, cancellationToken) =>
        {
            string[] missing =
            [
                .. await facts.GetAsync($"{ClusterFacts.System}/services/{InstallManifest.Name}", cancellationToken) is null ? ["Service"] : Array.Empty<string>(),
                .. await facts.GetAsync($"/apis/policy/v1/namespaces/{InstallManifest.Namespace}/poddisruptionbudgets/{InstallManifest.Name}", cancellationToken) is null ? ["PodDisruptionBudget"] : Array.Empty<string>(),
            ];
            return missing.Length == 0 ? null : Finding.Error($"{string.Join(" and ", missing)} {InstallManifest.Name} {(missing.Length == 1 ? "is" : "are")} missing", Reinstall);
        }),
        new("MESH-CHK-025", Existence, "all replicas are ready", async (facts, cancellationToken) =>
        {
            var deployment = await facts.DeploymentAsync(cancellationToken);
            var (wanted, ready, updated) = (deployment.Number("spec", "replicas") ?? 1, deployment.Number("status", "readyReplicas") ?? 0, deployment.Number("status", "updatedReplicas") ?? 0);
            return ready >= wanted && updated >= wanted ? null : ready == 0
                ? Finding.Error($"none of {wanted} is", $"kubectl -n {InstallManifest.Namespace} describe pods; kubectl -n {InstallManifest.Namespace} logs deploy/{InstallManifest.Name}")
                : Finding.Warning($"{ready} of {wanted} are, {updated} of this version", $"kubectl -n {InstallManifest.Namespace} rollout status deploy/{InstallManifest.Name}");
        }),
        new("MESH-CHK-026", "version", "the control plane is of this command's version", async (facts, cancellationToken) =>
        {
            var installed = (await facts.DeploymentAsync(cancellationToken)).Text("metadata", "labels", InstallManifest.VersionLabel);
            return installed == InstallCatalogue.OwnVersion ? null
                : Finding.Warning($"it is {installed ?? "of no version"}, and this command {InstallCatalogue.OwnVersion}", "mesh upgrade | kubectl apply -f -, or use the mesh command of that version");
        }),
        .. WebhookChecks.All,
        .. CertificateFiles.All,
        .. LeaderChecks.All,
        PreChecks.PodSecurity,
    ];

    private static async Task<Finding?> DefinitionsAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        var (missing, old) = (new List<string>(), new List<string>());
        foreach (var wanted in InstallManifest.Crds(new InstallValues()))
        {
            var there = await facts.GetAsync(InstalledKinds.Path(wanted)!, cancellationToken);
            var established = there.Each("status", "conditions").Any(c => c.Text("type") == "Established" && c.Text("status") == "True");
            if (there is null || !established)
            {
                missing.Add(wanted.Text("spec", "names", "kind")!);
            }
            else if (there.Text("metadata", "labels", InstallManifest.VersionLabel) != InstallCatalogue.OwnVersion)
            {
                old.Add(wanted.Text("spec", "names", "kind")!);
            }
        }

        return missing.Count > 0 ? Finding.Error($"{string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} not", "mesh install --crds | kubectl apply -f -")
            : old.Count > 0 ? Finding.Warning($"{string.Join(", ", old)} {(old.Count == 1 ? "is" : "are")} of another version than this command", "mesh upgrade --crds | kubectl apply -f -")
            : null;
    }

    private static async Task<Finding?> AccessAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        var (missing, other) = (new List<string>(), new List<string>());
        var values = await facts.ValuesAsync(cancellationToken);
        foreach (var wanted in InstallManifest.ControlPlane(values).Where(o => o.Text("kind") is "ServiceAccount" || o.Text("apiVersion")!.StartsWith("rbac", StringComparison.Ordinal)))
        {
            var name = $"{wanted.Text("kind")} {wanted.FullName()}";
            if (await facts.GetAsync(InstalledKinds.Path(wanted)!, cancellationToken) is not { } there)
            {
                missing.Add(name);
            }
            else if (!JsonNode.DeepEquals(there["rules"], wanted["rules"]) || !JsonNode.DeepEquals(there["subjects"], wanted["subjects"]))
            {
                other.Add(name);
            }
        }

        return missing.Count > 0 ? Finding.Error($"{string.Join(", ", missing)} {(missing.Count == 1 ? "is" : "are")} missing", Reinstall)
            : other.Count > 0 ? Finding.Warning($"{string.Join(", ", other)} {(other.Count == 1 ? "says" : "say")} something else than was installed", Reinstall)
            : null;
    }
}
