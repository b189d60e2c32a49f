using Mesh.Transparent.Commands;

namespace Mesh.Transparent;

/// <summary>The command line: with no command the proxy runs; the others prepare or question it.</summary>
internal static class SidecarProgram
{
    /// <returns>0 good, 1 failed, 64 not understood; others as <see cref="ExitCodes"/> has them.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        switch (args)
        {
            case ["init", .. var rest]:
                return await InitCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["validate", .. var rest]:
                return await ValidateCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            case ["await", .. var rest]:
                return await AwaitCommand.RunAsync(rest, CommandContext.Real).ConfigureAwait(false);
            default:
                await Console.Error.WriteLineAsync("usage: mesh-proxy [run | init | validate | await]").ConfigureAwait(false);
                return 64;
        }
    }
}
