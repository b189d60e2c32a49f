using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>Kestrel with the limits it comes with, except that it waits two seconds for headers and not thirty, and two for a body to come and not five.</summary>
internal sealed class KestrelTarget(WebApplication host, RecordingApp app, IPEndPoint address) : ITarget
{
    public RecordingApp App => app;

    public EndPoint Address => address;

    public bool LimitsBodies => true;

    public static async Task<ITarget> StartAsync(HttpProtocols protocols)
    {
        var app = new RecordingApp();
        var host = await app.StartAsync(kestrel =>
        {
            Limit(kestrel);
            kestrel.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols);
        });
        return new KestrelTarget(host, app, AddressOf(host));
    }

    public static void Limit(KestrelServerOptions kestrel)
    {
        kestrel.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(2);
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(240, TimeSpan.FromSeconds(2));
    }

    public static IPEndPoint AddressOf(WebApplication host) =>
        new(IPAddress.Loopback, new Uri(host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port);

    public Task<Stream> ConnectAsync() => Tcp.ConnectAsync(address);

    public ValueTask DisposeAsync() => host.DisposeAsync();
}
