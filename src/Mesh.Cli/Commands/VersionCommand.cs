using System.CommandLine;
using System.Reflection;

namespace Mesh.Cli.Commands;

/// <summary><c>mesh version</c>.</summary>
internal static class VersionCommand
{
    public static Command Create(CliContext context)
    {
        var command = new Command("version", "The version of this command.");
        command.SetAction(async (_, _) =>
        {
            await context.Out.WriteLineAsync(typeof(VersionCommand).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion);
            return ExitCodes.Ok;
        });
        return command;
    }
}
