using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Mesh.Hosting;
using Mesh.Transparent;
using Mesh.Transparent.Interception;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.EndToEnd.Tests;

/// <summary>A whole sidecar in this process, with the kernel's part of it given: where every connection that it accepts was going.</summary>
internal sealed class RunningSidecar : IAsyncDisposable
{
    private readonly IHost _host;
    private readonly GivenRedirection _redirection;

    private RunningSidecar(IHost host, GivenRedirection redirection) => (_host, _redirection) = (host, redirection);

    public IServiceProvider Services => _host.Services;

    public IPEndPoint Outbound => _host.Services.GetRequiredService<SidecarHost>().Outbound.Endpoints[0];

    /// <summary>Where connections from now on were going.</summary>
    public IPEndPoint GoingTo
    {
        set => _redirection.To = value;
    }

    /// <param name="own">Its pod's address: what lies there it takes for its own.</param>
    public static async Task<RunningSidecar> StartAsync(RunningMesh mesh, string account, IPEndPoint destination, int inbound, IPAddress own)
    {
        var token = await mesh.CreateTokenAsync(account);
        var redirection = new GivenRedirection(destination);
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Services.AddLogging(logging => logging.AddProvider(new FakeLoggerProvider(mesh.Logs)).SetMinimumLevel(LogLevel.Warning));
        builder.Services.AddSingleton<IRedirection>(redirection);
        builder.Services.Configure<MeshOptions>(o =>
        {
            (o.ControlPlane, o.TrustBundle, o.Token) = (mesh.Grpc, mesh.TrustBundle, token);
            (o.Namespace, o.ServiceAccount, o.Workload, o.TelemetryInterval) = ("shop", account, account, TimeSpan.FromSeconds(1));
        });
        builder.Services.AddSidecar(new SidecarOptions
        {
            OutboundListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            InboundListen = [new IPEndPoint(IPAddress.Loopback, inbound)],
            AdminListen = [new IPEndPoint(IPAddress.Loopback, 0)],
            InstanceIps = [own],
            DrainTimeout = TimeSpan.FromSeconds(5),
        });
        var sidecar = new RunningSidecar(builder.Build(), redirection);
        try
        {
            await sidecar._host.StartAsync(TestContext.Current.CancellationToken);
            return sidecar;
        }
        catch
        {
            await sidecar.DisposeAsync();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        await _host.StopAsync(now.Token);
        await ((IAsyncDisposable)_host).DisposeAsync();
    }

    private sealed class GivenRedirection(IPEndPoint to) : IRedirection
    {
        public IPEndPoint To { get; set; } = to;

        public bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? goesTo)
        {
            goesTo = To;
            return true;
        }
    }
}
