using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh config dump</c>: every resource each client was sent, with its version and whether it was acknowledged.</summary>
internal static class ConfigDumpCommand
{
    public static Command Create(CliContext context)
    {
        var node = new Option<string?>("--node") { Description = "Only this client (its id, as in the dump)" };
        var server = new ServerOptions(context);
        var command = new Command("dump", "Every resource each client was sent, as JSON.") { node };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var path = result.GetValue(node) is { Length: > 0 } id ? $"api/v1/config_dump?node={Uri.EscapeDataString(id)}" : "api/v1/config_dump";
            await context.Out.WriteLineAsync((await api.GetAsync(path, cancellationToken)).ToJsonString(ControlPlaneApi.Json));
            return ExitCodes.Ok;
        });
        return command;
    }
}
