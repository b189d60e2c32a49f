using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.ControlPlane.Hosting;
using Mesh.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

public sealed class HostingTests
{
    [Fact]
    public void CommandLine_PortBase_SpreadsAndSinglePortsWin()
    {
        var options = CommandLine.Parse(["--config", "x", "--port-base=20000", "--http-port", "0", "--leaf-life", "20s", "--trust-domain", "td"], out _)!;
        Assert.Equal((20000, 20002, 0), (options.AdsPort, options.GrpcPort, options.HttpPort));
        Assert.Equal((TimeSpan.FromSeconds(20), "td", "x"), (options.LeafLife, options.TrustDomain, options.ConfigFolder));
    }

    [Fact]
    public void CommandLine_Defaults_OfTheCluster()
    {
        var options = CommandLine.Parse(["--config", "x", "--mtls", "strict", "--access", "cluster-authenticated", "--cluster-networks", "10.0.0.0/8,fd00::/8,192.0.2.1"], out _)!;
        Assert.Equal((MtlsMode.Strict, AccessMode.ClusterAuthenticated), (options.Mtls, options.Access));
        Assert.Equal(["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"], options.ClusterNetworks.Select(n => n.ToString()));
        var unset = CommandLine.Parse(["--config", "x"], out _)!;
        Assert.Equal((MtlsMode.Permissive, AccessMode.AllUnauthenticated, 7), (unset.Mtls, unset.Access, unset.ClusterNetworks.Count));
    }

    [Theory]
    [InlineData("--confg", "x")]
    [InlineData("--config")]
    [InlineData("--ads-port", "70000")]
    [InlineData("--leaf-life", "soon")]
    [InlineData("--mtls", "Strict")]
    [InlineData("--access", "all")]
    [InlineData("--cluster-networks", "10.0.0.0/8,10.0.0.1/8")]
    [InlineData("--address", "here")]
    [InlineData("stray")]
    public void CommandLine_Wrong_SaysWhat(params string[] args)
    {
        Assert.Null(CommandLine.Parse(args, out var problems));
        Assert.Contains(args[0], Assert.Single(problems.Take(1)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_PortTaken_NamesPortAndFlag()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        var error = await Assert.ThrowsAsync<IOException>(() => TestControlPlane.StartAsync(configure: o => o.GrpcPort = port));
        Assert.Contains($"Port {port}", error.Message, StringComparison.Ordinal);
        Assert.Contains("--grpc-port", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_BadOptions_ListsAll()
    {
        var error = await Assert.ThrowsAsync<MeshConfigurationException>(() => TestControlPlane.StartAsync(configure: o =>
        {
            (o.ConfigFolder, o.TrustDomain, o.LeafLife, o.RootKey) = ("/nowhere/at/all", "UPPER", TimeSpan.Zero, "x");
            (o.AdsPort, o.HttpPort) = (7, 7);
            (o.Mtls, o.Access, o.ClusterNetworks) = ((MtlsMode)9, (AccessMode)9, []);
        }));
        Assert.Equal(8, error.Problems.Count);
        Assert.Contains("/nowhere/at/all", error.Problems[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Start_DataFolderInUse_SaysSo()
    {
        await using var first = await TestControlPlane.StartAsync();
        var error = await Assert.ThrowsAsync<MeshConfigurationException>(() => TestControlPlane.StartAsync(first.Folder));
        Assert.Contains("in use", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AddMeshControlPlane_RunsInside_AndJoinsWorkloads()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "config"));
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddSingleton(new ControlPlaneParts(new FakeSource().Take, _ => new FakeTranslator(), (_, _) => new(null, null, [])));
        var seen = string.Empty;
        builder.Services.AddHostedService(p => new StartsLater(() => seen = p.GetRequiredService<MeshControlPlane>().Ready.Result.Grpc));
        void Configure(MeshControlPlaneOptions o) =>
            (o.ConfigFolder, o.DataFolder, o.AdsPort, o.GrpcPort, o.HttpPort) = (Path.Combine(folder, "config"), Path.Combine(folder, "data"), 0, 0, 0);
        builder.Services.AddMeshControlPlane(Configure);
        builder.Services.AddMeshControlPlane(Configure);
        using (var host = builder.Build())
        {
            var controlPlane = host.Services.GetRequiredService<MeshControlPlane>();
            Assert.Throws<InvalidOperationException>(() => controlPlane.CreateJoinToken("shop", "cart"));
            await host.StartAsync(TestContext.Current.CancellationToken);
            var addresses = await controlPlane.Ready;
            Assert.Equal(addresses.Grpc, seen);
            Assert.True(File.Exists(addresses.TrustBundle));
            Assert.NotEmpty(controlPlane.CreateJoinToken("shop", "cart"));
            using var http = new HttpClient();
            Assert.Equal("ok", await http.GetStringAsync($"{addresses.Http}/readyz", TestContext.Current.CancellationToken));
            await host.StopAsync(TestContext.Current.CancellationToken);
            await Assert.ThrowsAsync<HttpRequestException>(() => http.GetStringAsync($"{addresses.Http}/readyz", TestContext.Current.CancellationToken));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Program_Runs_PrintsOneReadyLineAndStopsOnSigterm()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        Directory.CreateDirectory(Path.Combine(folder, "config"));
        using var process = Start(folder, "--config", "config", "--data", "data", "--port-base", "0");
        var line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken);
        var ready = JsonDocument.Parse(line!).RootElement;
        Assert.True(ready.GetProperty("ready").GetBoolean());
        Assert.Equal(["ready", "ads", "grpc", "http", "trust_bundle", "token", "view_token", "dashboard"], ready.EnumerateObject().Select(p => p.Name));
        using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal(0, process.ExitCode);
        Assert.Empty(await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Program_WrongArguments_ExitWithOneClearMessage()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        Assert.Equal((64, "'--confg' is not known. See --help."), await RunAsync("--confg"));
        var (code, message) = await RunAsync("--config", "missing");
        Assert.Equal(1, code);
        Assert.Contains("does not exist", message, StringComparison.Ordinal);
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var port = ((IPEndPoint)taken.LocalEndpoint).Port;
        (code, message) = await RunAsync("--config", ".", "--port-base", "0", "--ads-port", $"{port}");
        Assert.Equal(1, code);
        Assert.Contains($"Port {port} is taken", message, StringComparison.Ordinal);
        Assert.Contains("--ads-port", message, StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);

        async Task<(int Code, string Message)> RunAsync(params string[] args)
        {
            using var process = Start(folder, args);
            var error = await process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
            await process.WaitForExitAsync(TestContext.Current.CancellationToken);
            return (process.ExitCode, error.Trim());
        }
    }

    private static Process Start(string folder, params string[] args)
    {
        var start = new ProcessStartInfo("dotnet") { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(typeof(MeshControlPlane).Assembly.Location);
        foreach (var arg in args)
        {
            start.ArgumentList.Add(arg);
        }

        return Process.Start(start)!;
    }

    private sealed class StartsLater(Action onStart) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            onStart();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
