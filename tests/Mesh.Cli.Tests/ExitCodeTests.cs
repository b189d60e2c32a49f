using System.Net;
using System.Net.Sockets;

namespace Mesh.Cli.Tests;

public sealed class ExitCodeTests
{
    [Theory]
    [InlineData("nonsense")]
    [InlineData("stat", "--no-such-option")]
    [InlineData("stat", "-o", "xml")]
    [InlineData("stat", "--window", "soon")]
    [InlineData("stat", "--window", "0s")]
    [InlineData("xds", "bootstrap")]
    [InlineData("xds", "bootstrap", "--namespace", "shop", "--ads-server", "nowhere")]
    [InlineData("identity", "agent", "--out", "x", "--service-account", "a", "--control-plane", "https://127.0.0.1:1", "--trust-bundle", "b")]
    [InlineData("token", "create")]
    public async Task Usage_Wrong_Exits64WithHintOnStderr(params string[] args)
    {
        var run = await CliRun.RunAsync([], args);

        Assert.Equal((64, ""), (run.ExitCode, run.Out));
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_NotNamed_Exits64()
    {
        var run = await CliRun.RunAsync([], ["stat"]);

        Assert.Equal(64, run.ExitCode);
        Assert.Contains("MESH_SERVER", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_NoUrl_Exits64() =>
        Assert.Equal(64, (await CliRun.RunAsync([], ["stat", "--server", "localhost:15014"])).ExitCode);

    [Fact]
    public async Task Server_NotListening_Exits69()
    {
        using var taken = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        taken.Bind(new IPEndPoint(IPAddress.Loopback, 0)); // Bound, not listening: the port refuses.

        var run = await CliRun.RunAsync([], ["stat", "--server", $"http://{taken.LocalEndPoint}"]);

        Assert.Equal(69, run.ExitCode);
        Assert.Contains("could not be reached", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Token_Wrong_Exits77WithReason()
    {
        await using var server = await FakeControlPlane.StartAsync();

        var run = await CliRun.RunAsync([], ["stat", "--server", server.Url, "--token", "guess"]);

        Assert.Equal(77, run.ExitCode);
        Assert.Contains("the token is not known", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("guess", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(200, "<html>")]
    [InlineData(200, "{}")]
    [InlineData(200, "null")]
    [InlineData(200, "[{\"requests\":\"many\"}]")]
    [InlineData(404, "")]
    [InlineData(500, "{\"detail\":\"out of disk\"}")]
    public async Task Answer_NotUnderstood_Exits1WithOneClearMessage(int status, string body)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (status, body);

        var run = await CliRun.RunAsync(server, "stat");

        Assert.Equal((1, ""), (run.ExitCode, run.Out));
        Assert.StartsWith("mesh: ", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Interrupt_WhileAsking_Exits130()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start(); // Accepts by backlog, never answers.
        using var interrupt = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        var run = await CliRun.RunAsync([], ["stat", "--server", $"http://{listener.LocalEndpoint}"], cancellationToken: interrupt.Token);

        Assert.Equal(130, run.ExitCode);
    }

    [Fact]
    public async Task Version_IsData()
    {
        var run = await CliRun.RunAsync([], ["version"]);

        Assert.Equal(0, run.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+", run.Out);
    }
}
