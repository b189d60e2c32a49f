using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Cluster;

/// <summary>What is installed is found again by its label, in all the kinds that an installation of any version may have.</summary>
internal static class InstalledKinds
{
    /// <summary>In the order in which they are taken away: nobody waits for a webhook that is gone, and policies go last.</summary>
    private static readonly (string ApiVersion, string Kind, string Plural)[] All =
    [
        ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
        ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
        ("apps/v1", "Deployment", "deployments"),
        ("v1", "Service", "services"),
        ("v1", "ConfigMap", "configmaps"),
        ("v1", "Secret", "secrets"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
        ("rbac.authorization.k8s.io/v1", "Role", "roles"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles"),
        ("v1", "ServiceAccount", "serviceaccounts"),
        ("v1", "Namespace", "namespaces"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions"),
    ];

    /// <exception cref="KubeApiException">The server refused.</exception>
    public static async Task<List<JsonObject>> FindAsync(KubeApi cluster, CancellationToken cancellationToken)
    {
        var selector = Uri.EscapeDataString($"{InstallManifest.ManagedByLabel}={InstallManifest.ManagedBy}");
        var found = new List<JsonObject>();
        foreach (var (version, kind, plural) in All)
        {
            var list = await cluster.ListAsync($"{Root(version)}/{plural}?labelSelector={selector}", cancellationToken);
            found.AddRange(list.Items.OrderBy(i => i.FullName(), StringComparer.Ordinal).Select(i => Reference(version, kind, i)));
        }

        return found;
    }

    /// <summary>The roots that the leader wrote into every namespace.</summary>
    public static async Task<List<JsonObject>> TrustBundlesAsync(KubeApi cluster, CancellationToken cancellationToken)
    {
        var list = await cluster.ListAsync("/api/v1/configmaps?fieldSelector=" + Uri.EscapeDataString($"metadata.name={TrustBundle}"), cancellationToken);
        return [.. list.Items.OrderBy(i => i.FullName(), StringComparer.Ordinal).Select(i => Reference("v1", "ConfigMap", i))];
    }

    public const string TrustBundle = "mesh-trust-bundle";

    /// <summary>The path of one object of a manifest; null for a kind that is never installed.</summary>
    public static string? Path(JsonObject item) => All.FirstOrDefault(k => k.Kind == item.Text("kind")) is { Plural: { } plural } known
        ? $"{Root(known.ApiVersion)}{(item.Namespace() is { } ns ? $"/namespaces/{ns}" : string.Empty)}/{plural}/{item.Name()}" : null;

    /// <summary>What makes two objects the same one.</summary>
    public static string Identity(JsonObject item) => $"{item.Text("apiVersion")} {item.Text("kind")} {item.FullName()}";

    private static string Root(string apiVersion) => apiVersion.Contains('/', StringComparison.Ordinal) ? $"/apis/{apiVersion}" : $"/api/{apiVersion}";

    /// <summary>As much as kubectl needs to delete it.</summary>
    private static JsonObject Reference(string apiVersion, string kind, JsonObject item)
    {
        var meta = new JsonObject { ["name"] = item.Name() };
        if (item.Namespace() is { } ns)
        {
            meta["namespace"] = ns;
        }

        return new JsonObject { ["apiVersion"] = apiVersion, ["kind"] = kind, ["metadata"] = meta };
    }
}
