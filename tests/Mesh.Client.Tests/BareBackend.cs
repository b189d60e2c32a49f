using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Client.Tests;

/// <summary>A real Kestrel on loopback that gives every request to one delegate: also such as a gRPC server would answer by itself.</summary>
internal sealed class BareBackend : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly IWorkloadIdentitySource? _identity;
    private readonly int _port;

    private BareBackend(WebApplication app, IWorkloadIdentitySource? identity)
    {
        (_app, _identity) = (app, identity);
        _port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
    }

    public Mesh.Config.Endpoint Endpoint => new("127.0.0.1", _port, 1, true)
    {
        Tls = _identity is null ? EndpointTls.None : EndpointTls.Mesh,
        SpiffeId = _identity?.Current!.Svid.Id,
        SpeaksHttp2 = _identity is not null,
    };

    /// <param name="identity">Null is plaintext, and then HTTP/2 alone.</param>
    public static async Task<BareBackend> StartAsync(IWorkloadIdentitySource? identity, RequestDelegate handler, HttpProtocols? protocols = null)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AllowAlternateSchemes = true;
            kestrel.Listen(IPAddress.Loopback, 0, listen =>
            {
                listen.Protocols = protocols ?? (identity is null ? HttpProtocols.Http2 : HttpProtocols.Http1AndHttp2);
                if (identity is not null)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => new(MeshTls.ForServer(identity.Current!, _ => { })) });
                }
            });
        });
        var app = builder.Build();
        app.Run(handler);
        await app.StartAsync();
        return new BareBackend(app, identity);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
