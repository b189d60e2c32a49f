using System.CommandLine;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh prune</c>: prints what an earlier version, or other values, installed and this one does not have any more.</summary>
internal static class PruneCommand
{
    public static Command Create(CliContext context)
    {
        var cluster = new ClusterOptions(context);
        var command = new Command("prune", "Prints what is in the cluster of earlier versions and no longer needed: mesh prune | kubectl delete -f -");
        cluster.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = cluster.Open(result);
            try
            {
                var stored = await StoredValues.GetAsync(api, cancellationToken);
                if (stored.Version != InstallCatalogue.OwnVersion)
                {
                    throw new CliException(ExitCodes.Failure, $"the cluster has {stored.Version}, and this command is {InstallCatalogue.OwnVersion}",
                        "what the other version needs is not known here", "mesh upgrade first, or use the mesh command of that version");
                }

                var values = new InstallValues();
                if (values.Read(stored.Values) is { Count: > 0 } problems)
                {
                    throw new CliException(ExitCodes.Failure, $"the values of {InstallManifest.ConfigMap} in the cluster can't be used", string.Join(" ", problems), "mesh upgrade --reset-values -f …");
                }

                var wanted = InstallManifest.Crds(values).Concat(InstallManifest.ControlPlane(values)).Select(InstalledKinds.Identity).ToHashSet(StringComparer.Ordinal);
                var extra = (await InstalledKinds.FindAsync(api, cancellationToken)).Where(i => !wanted.Contains(InstalledKinds.Identity(i))).ToList();
                await context.Out.WriteAsync(InstallManifest.ToText(extra, "mesh prune"));
                await context.Error.WriteLineAsync(extra.Count == 0 ? "Nothing is left over." : $"{Skew.Count(extra.Count, "object")} no longer needed.");
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
