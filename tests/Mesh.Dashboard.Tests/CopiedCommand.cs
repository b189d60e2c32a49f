using Mesh.Cli;
using Mesh.EndToEnd.Tests;
using Xunit;

namespace Mesh.Dashboard.Tests;

/// <summary>A command that the page offered to copy, pasted.</summary>
internal sealed record CopiedCommand(int ExitCode, string Said)
{
    /// <summary>Read as a shell reads it, run as <c>mesh</c> runs it.</summary>
    public static async Task<CopiedCommand> RunAsync(string command, Uri server, string token)
    {
        await using var shell = ChildProcess.Start("/bin/sh", ["-c", $"mesh() {{ printf '%s\\n' \"$@\"; }}; {command}"]);
        Assert.Equal(0, await shell.ExitAsync(TimeSpan.FromSeconds(30)));
        string[] words = shell.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (words[0] is "tap" or "top")
        {
            // They would go on until Ctrl-C.
            words = [.. words, "--for", "1s"];
        }

        using var said = new StringWriter();
        var environment = new Dictionary<string, string> { ["MESH_SERVER"] = server.ToString(), ["MESH_TOKEN"] = token, ["LANG"] = "C.UTF-8" };
        var context = new CliContext(said, said, environment.GetValueOrDefault, TimeProvider.System, (_, _) => throw new InvalidOperationException("No identity is asked for."));
        return new CopiedCommand(await MeshCommand.RunAsync(words, context, TestContext.Current.CancellationToken), said.ToString());
    }
}
