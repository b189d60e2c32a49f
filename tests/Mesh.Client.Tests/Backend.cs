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

/// <summary>A real Kestrel on loopback: one endpoint, with mesh TLS when it has an identity.</summary>
internal sealed class Backend : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly IWorkloadIdentitySource? _identity;
    private readonly List<Microsoft.AspNetCore.Connections.ConnectionContext> _connections = [];
    private int _requests;

    private Backend(WebApplication app, IWorkloadIdentitySource? identity) => (_app, _identity) = (app, identity);

    public int Requests => Volatile.Read(ref _requests);

    public Func<HttpContext, Task> Handler { get; set; } = context => context.Response.WriteAsync("ok");

    /// <summary>Sees every request first, gRPC too; true when it has answered.</summary>
    public Func<HttpContext, Task<bool>>? Intercept { get; set; }

    public int Port { get; private set; }

    public static async Task<Backend> StartAsync(IWorkloadIdentitySource? identity = null, Func<HttpContext, Task>? handler = null, int port = 0, HttpProtocols protocols = HttpProtocols.Http1AndHttp2)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        Backend? backend = null;
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AllowAlternateSchemes = true;
            kestrel.Listen(IPAddress.Loopback, port, listen =>
            {
                listen.Protocols = protocols;
                listen.Use(next => connection =>
                {
                    lock (backend!._connections)
                    {
                        backend._connections.Add(connection);
                    }

                    return next(connection);
                });
                if (identity is not null)
                {
                    listen.UseHttps(new TlsHandshakeCallbackOptions { OnConnection = _ => new(MeshTls.ForServer(identity.Current!, _ => { })) });
                }
            });
        });
        var app = builder.Build();
        backend = new Backend(app, identity);
        if (handler is not null)
        {
            backend.Handler = handler;
        }

        app.Use(async (context, next) =>
        {
            if (backend.Intercept is not { } intercept || !await intercept(context))
            {
                await next(context);
            }
        });
        app.MapGrpcService<EchoService>();
        app.MapFallback(context =>
        {
            Interlocked.Increment(ref backend._requests);
            return backend.Handler(context);
        });
        await app.StartAsync();
        backend.Port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
        return backend;
    }

    public Mesh.Config.Endpoint Endpoint => new("127.0.0.1", Port, 1, true)
    {
        Tls = _identity is null ? EndpointTls.None : EndpointTls.Mesh,
        SpiffeId = _identity?.Current!.Svid.Id,
        SpeaksHttp2 = _identity is not null,
    };

    /// <summary>As SIGKILL: nothing finishes.</summary>
    public async Task KillAsync()
    {
        lock (_connections)
        {
            foreach (var connection in _connections)
            {
                connection.Abort();
            }
        }

        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        try
        {
            await _app.StopAsync(now.Token);
        }
        catch (OperationCanceledException)
        {
            // Asked for.
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}
