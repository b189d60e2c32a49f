using System.Net;
using Mesh.Transparent.Tests;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>Sidecars before bare Kestrel: the client's and the server's with mesh TLS between, or the server's alone and a stranger who calls it in plaintext.</summary>
internal sealed class SidecarTarget(WebApplication host, RecordingApp app, SidecarPair pair, EndPoint address) : ITarget
{
    public RecordingApp App => app;

    public EndPoint Address => address;

    public bool LimitsBodies => false;

    public static async Task<ITarget> StartAsync(HttpProtocols protocols, bool inboundAlone)
    {
        var app = new RecordingApp();
        var host = await app.StartAsync(kestrel =>
        {
            KestrelTarget.Limit(kestrel);
            kestrel.Listen(IPAddress.Loopback, 0, l => l.Protocols = protocols);
        });
        var pair = await SidecarPair.StartAsync(KestrelTarget.AddressOf(host));
        return new SidecarTarget(host, app, pair, inboundAlone ? pair.Server.Inbound : pair.Client.Outbound);
    }

    public Task<Stream> ConnectAsync() => Tcp.ConnectAsync(address);

    public async ValueTask DisposeAsync()
    {
        await pair.DisposeAsync();
        await host.DisposeAsync();
    }
}
