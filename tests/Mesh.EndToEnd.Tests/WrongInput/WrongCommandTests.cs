using Xunit;

namespace Mesh.EndToEnd.Tests.WrongInput;

/// <summary>The command <c>mesh</c> against what is not there or not permitted: one message of three lines, one exit code.</summary>
public sealed class WrongCommandTests(SharedMesh shared) : IClassFixture<SharedMesh>
{
    [Fact]
    public async Task Cli_ServerIsDead_Exits69NamingAddressAndFix()
    {
        var address = $"http://127.0.0.1:{RunningMesh.FreePort()}";

        var (exit, output, errors) = await Cli.RunAsync("stat", "--server", address, "--token", "any");

        AssertOneMessage(69, exit, output, errors, address, "--server");
    }

    [Fact]
    public async Task Cli_TokenIsWrong_Exits77NamingPathAndFix()
    {
        var (exit, output, errors) = await Cli.RunAsync("edges", "--server", shared.Mesh.Http, "--token", "wrong");

        AssertOneMessage(77, exit, output, errors, "api/v1/golden", "MESH_TOKEN");
    }

    [Fact]
    public async Task Cli_NoServerGiven_Exits64NamingTheOption()
    {
        var (exit, output, errors) = await Cli.RunAsync("check");

        AssertOneMessage(64, exit, output, errors, "MESH_SERVER", "--server http://127.0.0.1:15014");
    }

    private static void AssertOneMessage(int expected, int exit, string output, string errors, string where, string fix)
    {
        Assert.Equal((expected, ""), (exit, output));
        var lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Collection(
            lines,
            line => Assert.StartsWith("mesh: ", line, StringComparison.Ordinal),
            line => Assert.StartsWith("  why: ", line, StringComparison.Ordinal),
            line => Assert.StartsWith("  try: ", line, StringComparison.Ordinal));
        Assert.Contains(where, errors, StringComparison.Ordinal);
        Assert.Contains(fix, lines[2], StringComparison.Ordinal);
    }
}
