using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh uninstall</c>: prints all that an installation left in the cluster, for <c>kubectl delete -f -</c>.</summary>
internal static class UninstallCommand
{
    public static Command Create(CliContext context)
    {
        var cluster = new ClusterOptions(context);
        var force = new Option<bool>("--force") { Description = "Also while pods have sidecars, which then get no certificates any more" };
        var command = new Command("uninstall", "Prints everything of the mesh that is in the cluster: mesh uninstall | kubectl delete -f -") { force };
        cluster.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = cluster.Open(result);
            try
            {
                var found = await InstalledKinds.FindAsync(api, cancellationToken);
                if (!result.GetValue(force))
                {
                    RefuseWhileUsed([.. (await api.ListAsync("/api/v1/pods", cancellationToken)).Items.Where(MeshedPods.IsInjected).Where(MeshedPods.Runs)]);
                }

                // The leader would write them anew: they go when the namespace, and the leader with it, is gone.
                var bundles = (await InstalledKinds.TrustBundlesAsync(api, cancellationToken)).Where(b => b.Namespace() != InstallManifest.Namespace).ToList();
                var definitions = found.Where(f => f.Text("kind") == "CustomResourceDefinition").ToList();
                await context.Out.WriteAsync(InstallManifest.ToText([.. found.Except(definitions), .. bundles, .. definitions], "mesh uninstall"));
                await context.Error.WriteLineAsync(found.Count == 0 ? "There is nothing of the mesh in this cluster."
                    : $"{Skew.Count(found.Count + bundles.Count, "object")}. With the definitions all policies of {InstallManifest.PolicyGroup} go, with the namespace {InstallManifest.Namespace} the mesh's root and its key.");
                return ExitCodes.Ok;
            }
            catch (KubeApiException e)
            {
                throw ClusterErrors.Of(e);
            }
        });
        return command;
    }

    private static void RefuseWhileUsed(List<JsonObject> injected)
    {
        if (injected.Count > 0)
        {
            throw new CliException(ExitCodes.Failure, $"{Skew.Count(injected.Count, "pod")} {(injected.Count == 1 ? "has" : "have")} a sidecar and would lose the mesh under it",
                string.Join(", ", injected.Take(5).Select(p => p.FullName())) + (injected.Count > 5 ? " …" : string.Empty),
                "remove the annotation meshlib.io/inject and restart them (kubectl rollout restart), or --force");
        }
    }
}
