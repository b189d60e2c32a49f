using Mesh.Cli.Agent;

namespace Mesh.Cli.Tests;

/// <summary>Runs the command as a shell would, and keeps what it wrote.</summary>
internal sealed record CliRun(int ExitCode, string Out, string Error)
{
    private static readonly OpenIdentity _noIdentity = (_, _) => throw new InvalidOperationException("No identity is given in this test.");

    public static Task<CliRun> RunAsync(FakeControlPlane server, params string[] args) =>
        RunAsync(new Dictionary<string, string> { ["MESH_SERVER"] = server.Url, ["MESH_TOKEN"] = FakeControlPlane.Token, ["LANG"] = "en_US.UTF-8" }, args);

    public static async Task<CliRun> RunAsync(
        Dictionary<string, string> environment, string[] args, OpenIdentity? identity = null, CancellationToken? cancellationToken = null, string input = "", bool isTerminal = false)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var context = new CliContext(output, error, environment.GetValueOrDefault, TimeProvider.System, identity ?? _noIdentity) { In = new StringReader(input), IsTerminal = isTerminal };
        var exit = await MeshCommand.RunAsync(args, context, cancellationToken ?? TestContext.Current.CancellationToken);
        return new CliRun(exit, output.ToString(), error.ToString());
    }
}
