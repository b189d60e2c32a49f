using System.CommandLine;
using Mesh.Cli.Commands;

namespace Mesh.Cli;

/// <summary>The command <c>mesh</c>: its verbs, and how their ends become exit codes.</summary>
internal static class MeshCommand
{
    public static async Task<int> RunAsync(string[] args, CliContext context, CancellationToken cancellationToken)
    {
        var result = Create(context).Parse(args);
        if (result.Errors.Count > 0)
        {
            foreach (var error in result.Errors)
            {
                await context.Error.WriteLineAsync($"mesh: {error.Message}");
            }

            await context.Error.WriteLineAsync($"Try 'mesh {string.Join(' ', CommandPath(result))} --help'.".Replace("mesh  ", "mesh ", StringComparison.Ordinal));
            return ExitCodes.Usage;
        }

        try
        {
            var invocation = new InvocationConfiguration { Output = context.Out, Error = context.Error, EnableDefaultExceptionHandler = false };
            return await result.InvokeAsync(invocation, cancellationToken);
        }
        catch (CliException failure)
        {
            await context.Error.WriteLineAsync($"mesh: {failure.Message}");
            await context.Error.WriteLineAsync($"  why: {failure.Why}");
            await context.Error.WriteLineAsync($"  try: {failure.Fix}");
            return failure.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return ExitCodes.Interrupted;
        }
        catch (IOException failure)
        {
            await context.Error.WriteLineAsync($"mesh: {failure.Message}");
            return ExitCodes.Failure;
        }
        catch (UnauthorizedAccessException failure)
        {
            await context.Error.WriteLineAsync($"mesh: {failure.Message}");
            return ExitCodes.NotPermitted;
        }
    }

    private static RootCommand Create(CliContext context) => new("See, check and steer a mesh. stdout is data, stderr is talk.")
    {
        InstallCommand.Create(context),
        UpgradeCommand.Create(context),
        UninstallCommand.Create(context),
        PruneCommand.Create(context),
        StatusCommand.Create(context),
        StatCommand.Create(context),
        RoutesCommand.Create(context),
        EdgesCommand.Create(context),
        TapCommand.Create(context),
        TopCommand.Create(context),
        TracesCommand.Create(context),
        DashboardCommand.Create(context),
        CheckCommand.Create(context),
        ExplainCommand.Create(context),
        InjectCommand.Create(context),
        UninjectCommand.Create(context),
        new Command("config", "What the control plane has told its clients, and why.") { ConfigDumpCommand.Create(context), ConfigExplainCommand.Create(context) },
        new Command("policy", "Who may call what.") { PolicyLintCommand.Create(context) },
        new Command("xds", "For gRPC peers that are not .NET.") { XdsBootstrapCommand.Create(context) },
        new Command("identity", "Certificates of workloads: who has which, and changing them.")
        {
            IdentityListCommand.Create(context), IdentityShowCommand.Create(context), IdentityRotateCommand.Create(context), IdentityRevokeCommand.Create(context),
            IdentityAgentCommand.Create(context),
        },
        new Command("token", "What lets a workload join.") { TokenCreateCommand.Create(context) },
        DiagnosticsCommand.Create(context),
        CompletionCommand.Create(context),
        VersionCommand.Create(context),
    };

    private static Stack<string> CommandPath(ParseResult result)
    {
        var names = new Stack<string>();
        for (var command = result.CommandResult; command.Parent is System.CommandLine.Parsing.CommandResult parent; command = parent)
        {
            names.Push(command.Command.Name);
        }

        return names;
    }
}
