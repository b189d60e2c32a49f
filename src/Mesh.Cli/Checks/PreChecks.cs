using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Checks;

/// <summary><c>mesh check --pre</c>: whether the mesh can be installed.</summary>
internal static class PreChecks
{
    private const string Category = "pre-install";
    private static readonly Version OldestGateway = new(1, 1);

    public static IEnumerable<ClusterCheck> All { get; } =
    [
        new("MESH-CHK-010", Category, "there is no mesh yet", async (facts, cancellationToken) =>
            await facts.DeploymentAsync(cancellationToken) is not null ? Finding.Error($"{InstallManifest.Namespace} has a control plane", "mesh upgrade | kubectl apply -f -, or mesh uninstall | kubectl delete -f - first")
            : await facts.GetAsync(ClusterFacts.System, cancellationToken) is { } ns && ns.Text("metadata", "labels", InstallManifest.ManagedByLabel) != InstallManifest.ManagedBy
                ? Finding.Warning($"the namespace {InstallManifest.Namespace} exists and is not of an installation: its labels are changed", "see what is in it, or delete it")
            : null),
        new("MESH-CHK-011", Category, "you may create what is installed", PermissionsAsync),
        new("MESH-CHK-012", Category, "Gateway API is there", GatewayAsync),
        PodSecurity,
    ];

    /// <summary>Also when the mesh is there: namespaces come later.</summary>
    public static ClusterCheck PodSecurity => new("MESH-CHK-013", "pod-security", "namespaces that want sidecars let them redirect", async (facts, cancellationToken) =>
    {
        var closed = (await facts.ListAsync("/api/v1/namespaces", cancellationToken))
            .Where(n => n.Text("metadata", "annotations", "meshlib.io/inject") == "enabled" && n.Text("metadata", "labels", "pod-security.kubernetes.io/enforce") is "restricted" or "baseline")
            .Select(n => n.Name()).ToList();
        return closed.Count == 0 ? null : Finding.Warning(
            $"{string.Join(", ", closed)}: pod security '{(closed.Count == 1 ? "enforce" : "enforce")}' forbids the init container's NET_ADMIN, so that injected pods are refused",
            "label them pod-security.kubernetes.io/enforce: privileged, redirect by a CNI plugin (meshlib.io/init: none), or mesh by library (meshlib.io/inject: library)");
    });

    private static async Task<Finding?> PermissionsAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        var values = new InstallValues();
        var kinds = InstallManifest.Crds(values).Concat(InstallManifest.ControlPlane(values)).Select(o => InstalledKinds.Path(o)!).Select(Resource).Distinct().ToList();
        var missing = new List<string>();
        foreach (var (group, resource, ns) in kinds)
        {
            var attributes = new JsonObject { ["verb"] = "create", ["group"] = group, ["resource"] = resource };
            if (ns is not null)
            {
                attributes["namespace"] = ns;
            }

            var answer = await facts.Cluster.CreateAsync("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", new JsonObject
            {
                ["apiVersion"] = "authorization.k8s.io/v1",
                ["kind"] = "SelfSubjectAccessReview",
                ["spec"] = new JsonObject { ["resourceAttributes"] = attributes },
            }, cancellationToken);
            if (answer.At("status", "allowed")?.GetValueKind() != System.Text.Json.JsonValueKind.True)
            {
                missing.Add(group.Length == 0 ? resource : $"{resource}.{group}");
            }
        }

        return missing.Count == 0 ? null : Finding.Error($"you may not create {string.Join(", ", missing)}",
            "install as a cluster administrator, or have one do 'mesh install --crds' and give you the rest");
    }

    /// <summary>Group, resource and namespace of a path.</summary>
    private static (string Group, string Resource, string? Namespace) Resource(string path)
    {
        var parts = path.Trim('/').Split('/');
        var rest = parts[0] == "api" ? parts[2..] : parts[3..];
        return (parts[0] == "api" ? string.Empty : parts[1], rest.Length >= 4 ? rest[2] : rest[0], rest.Length >= 4 ? rest[1] : null);
    }

    private static async Task<Finding?> GatewayAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        const string Get = "kubectl apply -f https://github.com/kubernetes-sigs/gateway-api/releases/latest/download/standard-install.yaml (experimental-install.yaml has TCPRoute and TLSRoute too)";
        var missing = new List<string>();
        foreach (var plural in new[] { "httproutes", "grpcroutes", "referencegrants" })
        {
            if (await facts.GetAsync($"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.gateway.networking.k8s.io", cancellationToken) is not { } crd)
            {
                missing.Add(plural);
            }
            else if (crd.Text("metadata", "annotations", "gateway.networking.k8s.io/bundle-version") is { } bundle
                && Version.TryParse(bundle.TrimStart('v').Split('-')[0], out var version) && version < OldestGateway)
            {
                return Finding.Warning($"its version is {bundle}: GRPCRoute is in v1 from v1.1.0", Get);
            }
        }

        return missing.Count == 0 ? null : Finding.Warning($"the cluster has no {string.Join(", ", missing)}: the mesh works without, and routes of these kinds can't be written", Get);
    }
}
