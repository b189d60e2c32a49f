namespace Mesh.EndToEnd.Tests;

/// <summary>Runs <c>mesh</c> as a user would, to its end.</summary>
internal static class Cli
{
    public static async Task<(int Exit, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        await using var mesh = ChildProcess.StartOurs("mesh", arguments);
        var exit = await mesh.ExitAsync(TimeSpan.FromSeconds(30));
        return (exit, mesh.Output, mesh.Errors);
    }
}
