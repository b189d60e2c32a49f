using System.CommandLine;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh token create</c>: a join token, good for one workload once.</summary>
internal static class TokenCreateCommand
{
    private const string Path = "api/v1/tokens";

    public static Command Create(CliContext context)
    {
        var @namespace = new Option<string>("--namespace", "-n") { Description = "The workload's namespace", DefaultValueFactory = _ => "default" };
        var account = new Option<string>("--service-account") { Description = "The workload's service account", Required = true };
        var (output, server) = (CommonOptions.Output(), new ServerOptions(context));
        var command = new Command("create", "A join token: lets one workload get its first certificate, once.") { @namespace, account, output };
        server.AddTo(command);
        command.SetAction(async (result, cancellationToken) =>
        {
            using var api = server.Open(result);
            var answer = await api.PostAsync(Path, new { Namespace = result.GetValue(@namespace), ServiceAccount = result.GetValue(account) }, cancellationToken);
            var token = api.Read<JoinToken>(answer, Path);
            await context.Out.WriteLineAsync(result.GetValue(output) == "json" ? answer.ToJsonString(ControlPlaneApi.Json) : token.Token);
            await context.Error.WriteLineAsync($"Good once, until {token.ExpiresAt:u}. Give it to the workload as Mesh__Token, or in a file as Mesh__TokenFile.");
            return ExitCodes.Ok;
        });
        return command;
    }

    private sealed record JoinToken(string Token, DateTimeOffset ExpiresAt);
}
