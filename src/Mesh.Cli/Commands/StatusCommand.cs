using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Mesh.Cli.Checks;
using Mesh.Cli.Cluster;
using Mesh.Cli.Output;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh status</c>: the control plane in a cluster, and how much of each namespace is meshed.</summary>
internal static class StatusCommand
{
    public static Command Create(CliContext context)
    {
        var (output, cluster) = (CommonOptions.Output(), new ClusterOptions(context));
        var command = new Command("status", "The control plane in the cluster, and how much of each namespace is meshed.") { output };
        cluster.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = cluster.Open(result);
            try
            {
                var status = await ReadAsync(new ClusterFacts(api, context.Time), cancellationToken);
                if (result.GetValue(output) == "json")
                {
                    await context.Out.WriteLineAsync(status.ToJsonString(ControlPlaneApi.Json));
                }
                else
                {
                    await WriteAsync(context, status);
                }

                return status["installed"]!.GetValue<bool>() ? ExitCodes.Ok : ExitCodes.Failure;
            }
            catch (KubeApiException e)
            {
                throw ClusterErrors.Of(e);
            }
        });
        return command;
    }

    private static async Task<JsonObject> ReadAsync(ClusterFacts facts, CancellationToken cancellationToken)
    {
        var deployment = await facts.DeploymentAsync(cancellationToken);
        var lease = await facts.GetAsync($"/apis/coordination.k8s.io/v1/namespaces/{InstallManifest.Namespace}/leases/{InstallManifest.Name}", cancellationToken);
        var values = await facts.ValuesAsync(cancellationToken);
        var pods = (await facts.ListAsync("/api/v1/pods", cancellationToken)).Where(MeshedPods.Runs).ToLookup(p => p.Namespace());
        return new JsonObject
        {
            ["installed"] = deployment is not null,
            ["version"] = deployment.Text("metadata", "labels", InstallManifest.VersionLabel),
            ["ha"] = values.IsHa,
            ["replicas"] = deployment.Number("spec", "replicas") ?? 0,
            ["ready_replicas"] = deployment.Number("status", "readyReplicas") ?? 0,
            ["leader"] = lease.Text("spec", "holderIdentity"),
            ["namespaces"] = new JsonArray([.. (await facts.ListAsync("/api/v1/namespaces", cancellationToken)).OrderBy(n => n.Name(), StringComparer.Ordinal)
                .Select(n => (Namespace: n, Pods: pods[n.Name()].ToList()))
                .Where(n => n.Pods.Any(p => MeshedPods.IsInjected(p) || IsLibrary(p)) || n.Namespace.Text("metadata", "annotations", KnownAnnotations.Inject) is not null)
                .Select(n => (JsonNode)new JsonObject
                {
                    ["name"] = n.Namespace.Name(),
                    ["inject"] = n.Namespace.Text("metadata", "annotations", KnownAnnotations.Inject),
                    ["pods"] = n.Pods.Count,
                    ["sidecars"] = n.Pods.Count(MeshedPods.IsInjected),
                    ["ready_sidecars"] = n.Pods.Count(p => MeshedPods.IsInjected(p) && MeshedPods.IsReady(p)),
                    ["libraries"] = n.Pods.Count(IsLibrary),
                })]),
        };
    }

    /// <summary>It was seen to mesh itself.</summary>
    private static bool IsLibrary(JsonObject pod) => !MeshedPods.IsInjected(pod) && pod.Text("metadata", "annotations", "meshlib.io/meshed") == "library";

    private static async Task WriteAsync(CliContext context, JsonObject status)
    {
        if (!status["installed"]!.GetValue<bool>())
        {
            await context.Error.WriteLineAsync("There is no mesh in this cluster: mesh install | kubectl apply -f -");
            return;
        }

        await context.Out.WriteLineAsync($"control plane   {status["version"]}, {status["ready_replicas"]} of {status["replicas"]} replicas ready{(status["ha"]!.GetValue<bool>() ? ", highly available" : string.Empty)}");
        await context.Out.WriteLineAsync($"leader          {status["leader"] ?? "none"}");
        var namespaces = status["namespaces"]!.AsArray();
        if (namespaces.Count == 0)
        {
            await context.Error.WriteLineAsync("No namespace is meshed: kubectl annotate namespace NAME meshlib.io/inject=enabled, then restart its workloads.");
            return;
        }

        await context.Out.WriteLineAsync();
        var table = new Table(("NAMESPACE", false), ("INJECT", false), ("PODS", true), ("SIDECARS", true), ("READY", true), ("LIBRARIES", true));
        foreach (var ns in namespaces)
        {
            table.Add(ns!["name"]!.ToString(), ns["inject"]?.ToString() ?? "-", Number(ns["pods"]), Number(ns["sidecars"]), Number(ns["ready_sidecars"]), Number(ns["libraries"]));
        }

        await table.WriteToAsync(context.Out);
    }

    private static string Number(JsonNode? node) => node!.GetValue<int>().ToString(CultureInfo.InvariantCulture);
}
