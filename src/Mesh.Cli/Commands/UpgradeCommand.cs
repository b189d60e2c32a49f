using System.CommandLine;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh upgrade</c>: prints the manifests of this version with what the mesh in the cluster was installed with, and what is given now.</summary>
internal static class UpgradeCommand
{
    public static Command Create(CliContext context)
    {
        var (install, cluster) = (new InstallOptions(), new ClusterOptions(context));
        var crds = new Option<bool>("--crds") { Description = "Only the definitions of policies" };
        var skip = new Option<bool>("--skip-crds") { Description = "All but the definitions of policies" };
        var reset = new Option<bool>("--reset-values") { Description = "Forget what was given before" };
        var force = new Option<bool>("--force") { Description = "Also to an older version, or across more than one minor version" };
        var command = new Command("upgrade", "Prints the manifests that bring the mesh in the cluster to this version: mesh upgrade | kubectl apply -f -") { crds, skip, reset, force };
        install.AddTo(command);
        cluster.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = cluster.Open(result);
            try
            {
                var stored = await StoredValues.GetAsync(api, cancellationToken);
                var values = install.Read(result, result.GetValue(reset) ? null : stored.Values);
                if (!result.GetValue(force) && Skew.Problem(stored.Version, values.Version) is { } problem)
                {
                    throw new CliException(ExitCodes.Failure, $"{stored.Version} is not upgraded to {values.Version}", problem, "upgrade by the version in between, or --force if you know that it is safe");
                }

                var typed = string.Join(' ', new[] { "mesh upgrade", result.GetValue(crds) ? "--crds" : result.GetValue(skip) ? "--skip-crds" : "", install.Typed(result) }.Where(t => t.Length > 0));
                await context.Out.WriteAsync(InstallManifest.ToText(
                    [.. result.GetValue(skip) ? [] : InstallManifest.Crds(values), .. result.GetValue(crds) ? [] : InstallManifest.ControlPlane(values)], typed));
                await context.Error.WriteLineAsync(
                    $"From {stored.Version} to {values.Version}. After kubectl apply: 'mesh check --wait 5m', then restart meshed workloads (kubectl rollout restart), then 'mesh prune | kubectl delete -f -'.");
                return ExitCodes.Ok;
            }
            catch (KubeApiException e)
            {
                throw ClusterErrors.Of(e);
            }
        });
        return command;
    }
}
