using System.Net;
using System.Net.Sockets;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Tests;

/// <summary>A client's sidecar and a server's sidecar with mesh TLS between them, and a server of the test's behind.</summary>
internal sealed class SidecarPair : IAsyncDisposable
{
    /// <summary>What the client dials: no address of anything.</summary>
    public static readonly IPEndPoint Dialled = new(IPAddress.Parse("10.99.0.1"), 80);

    private SidecarPair(TestCa ca, SidecarHarness client, SidecarHarness server) => (Ca, Client, Server) = (ca, client, server);

    public TestCa Ca { get; }

    public SidecarHarness Client { get; }

    public SidecarHarness Server { get; }

    /// <param name="app">The server behind.</param>
    public static async Task<SidecarPair> StartAsync(IPEndPoint app, bool meshed = true, Func<SidecarOptions, SidecarOptions>? options = null, Action<IServiceCollection>? services = null)
    {
        var ca = new TestCa("cluster.local");
        var server = await SidecarHarness.StartAsync(ca, "cart", app, options, services: services);
        var client = await SidecarHarness.StartAsync(ca, "web", Dialled, options, services: services);
        client.Config.Set(SidecarHarness.Service(Dialled, [meshed ? SidecarHarness.Meshed(server.Inbound, ca, "cart") : new(server.Inbound.Address.ToString(), server.Inbound.Port, 1, true)]));
        return new SidecarPair(ca, client, server);
    }

    /// <summary>A client of the app's own, whose connections are turned to its sidecar.</summary>
    public HttpClient Http(Version? version = null, Action<SocketsHttpHandler>? configure = null)
    {
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            ConnectCallback = async (_, cancel) => new NetworkStream(await ConnectAsync(cancel), ownsSocket: true),
        };
        configure?.Invoke(handler);
        return new HttpClient(handler)
        {
            BaseAddress = new Uri("http://cart.shop"),
            DefaultRequestVersion = version ?? HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = TimeSpan.FromSeconds(30),
        };
    }

    public async Task<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(Client.Outbound, cancellationToken);
        return socket;
    }

    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        await Server.DisposeAsync();
        Ca.Dispose();
    }

    /// <summary>A web server without mesh, on one port for both versions of HTTP by the version asked for.</summary>
    public static async Task<(WebApplication App, IPEndPoint Address)> AppAsync(Action<WebApplication> routes, HttpProtocols protocols = HttpProtocols.Http1)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k =>
        {
            k.Limits.MaxRequestBodySize = null;
            k.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols);
        });
        var app = builder.Build();
        routes(app);
        await app.StartAsync();
        var address = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        return (app, new IPEndPoint(IPAddress.Loopback, address.Port));
    }
}
