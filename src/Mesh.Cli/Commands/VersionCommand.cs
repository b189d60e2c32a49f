using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh version</c>: of this command, of the control plane, and of the sidecars in the cluster.</summary>
internal static class VersionCommand
{
    public static Command Create(CliContext context)
    {
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var client = new Option<bool>("--client") { Description = "Only this command's: asks nobody" };
        var command = new Command("version", "The version of this command, of the control plane, and of sidecars in the cluster.") { client, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            var alone = result.GetValue(client) || (!server.HasServer(result) && !server.Cluster.IsNamed(result));
            var (controlPlane, sidecars, failure) = alone ? (null, null, null) : await AskAsync(server, result, cancellationToken);
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(new JsonObject
                {
                    ["client"] = InstallCatalogue.OwnVersion,
                    ["control_plane"] = controlPlane,
                    ["sidecars"] = sidecars is null ? null : new JsonObject(sidecars.Select(s => KeyValuePair.Create(s.Key, (JsonNode?)s.Value))),
                }.ToJsonString(ControlPlaneApi.Json));
            }
            else if (alone)
            {
                await context.Out.WriteLineAsync(InstallCatalogue.OwnVersion);
            }
            else
            {
                await context.Out.WriteLineAsync($"client          {InstallCatalogue.OwnVersion}");
                await context.Out.WriteLineAsync($"control plane   {controlPlane ?? "unknown"}");
                if (sidecars is not null)
                {
                    await context.Out.WriteLineAsync($"sidecars        {(sidecars.Count == 0 ? "none" : string.Join(", ", sidecars.Select(s => $"{s.Key} ({Skew.Count(s.Value, "pod")})")))}");
                }
            }

            // The rest is known all the same.
            return failure is null ? ExitCodes.Ok : throw failure;
        });
        return command;
    }

    private static async Task<(string? ControlPlane, SortedDictionary<string, int>? Sidecars, CliException? Failure)> AskAsync(
        ServerOptions server, ParseResult result, CancellationToken cancellationToken)
    {
        SortedDictionary<string, int>? sidecars = null;
        try
        {
            if (!server.HasServer(result))
            {
                using var cluster = server.Cluster.Open(result);
                sidecars = new SortedDictionary<string, int>((await cluster.ListAsync("/api/v1/pods", cancellationToken)).Items.Where(MeshedPods.Runs).Select(MeshedPods.Version).OfType<string>()
                    .CountBy(v => v).ToDictionary(), StringComparer.Ordinal);
            }

            using var api = server.Open(result);
            var status = await api.GetAsync("api/v1/status", cancellationToken);
            return (status.Text("version"), sidecars, null);
        }
        catch (KubeApiException e)
        {
            return (null, sidecars, ClusterErrors.Of(e));
        }
        catch (CliException e)
        {
            return (null, sidecars, e);
        }
    }
}
