namespace Mesh.Transparent;

/// <summary>The command line: with no command the proxy runs; the others prepare or question it.</summary>
internal static class SidecarProgram
{
    /// <returns>0 good, 1 failed, 64 not understood.</returns>
    public static async Task<int> RunAsync(string[] args)
    {
        switch (args)
        {
            default:
                await Console.Error.WriteLineAsync("usage: mesh-proxy [run | init | validate | await]").ConfigureAwait(false);
                return 64;
        }
    }
}
