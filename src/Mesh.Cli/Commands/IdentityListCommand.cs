using System.CommandLine;
using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh identity list</c>: every workload with a certificate that is not over.</summary>
internal static class IdentityListCommand
{
    public const string Path = "api/v1/identity/workloads";

    public static Command Create(CliContext context)
    {
        var (output, @namespace, server) = (CommonOptions.Output(), CommonOptions.Namespace(), new ServerOptions(context));
        var command = new Command("list", "Every workload, its newest certificate, until when, and under which root.") { output, @namespace };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var found = (await api.GetArrayAsync(Path, cancellationToken)).OfType<JsonNode>().Select(node => (Entry: api.Read<IdentityEntry>(node, Path), Json: node))
                .Where(e => result.GetValue(@namespace) is not { } ns || e.Entry.ShortName.StartsWith($"{ns}/", StringComparison.Ordinal)).ToList();
            if (result.GetValue(output) == "json")
            {
                await context.Out.WriteLineAsync(new JsonArray([.. found.Select(e => e.Json.DeepClone())]).ToJsonString(ControlPlaneApi.Json));
            }
            else if (found.Count == 0)
            {
                await context.Error.WriteLineAsync("No workload has a certificate. Let one join with 'mesh token create'.");
            }
            else
            {
                await IdentityText.WriteListAsync([.. found.Select(e => e.Entry)], context.Out);
            }

            return ExitCodes.Ok;
        });
        return command;
    }
}
