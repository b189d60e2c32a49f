using System.Net;
using Mesh.Server.Listening;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Transparent.Listening;

/// <summary>A Kestrel without sockets: it serves HTTP on the connections that it is handed, by the version that was found in their first bytes.</summary>
/// <remarks>Thread-safe. No limit of its own on bodies or their time: those are the app's, and streams of a day are normal.</remarks>
internal sealed class HttpFace : IDisposable
{
    private readonly VirtualListener _http1;
    private readonly VirtualListener _http2;
    private readonly KestrelServer _server;
    private readonly RequestDelegate _serve;

    /// <param name="name">For logs.</param>
    /// <param name="serve">Answers a request.</param>
    /// <param name="meshTls">Another endpoint, where mesh TLS ends; null is none.</param>
    public HttpFace(string name, RequestDelegate serve, IServiceProvider services, ILoggerFactory loggers, (VirtualListener Listener, Action<ListenOptions> Configure)? meshTls = null)
    {
        (_http1, _http2, _serve) = (new VirtualListener(name + "-http1"), new VirtualListener(name + "-http2"), serve);
        var options = new KestrelServerOptions
        {
            ApplicationServices = services,
            AddServerHeader = false,
            // Mesh clients write http URIs and carry them over TLS (contracts §4).
            AllowAlternateSchemes = true,
            // The app judges its names.
            AllowHostHeaderOverride = true,
        };
        var limits = options.Limits;
        limits.MaxRequestBodySize = null;
        limits.MinRequestBodyDataRate = null;
        limits.MinResponseDataRate = null;
        // Idle connections are for their clients to close. Not infinite: Kestrel adds that to its clock in nanoseconds, and past the end of a long every connection is overdue.
        limits.KeepAliveTimeout = TimeSpan.FromDays(365);
        limits.MaxConcurrentConnections = null;
        limits.MaxConcurrentUpgradedConnections = null;
        limits.Http2.InitialConnectionWindowSize = 1024 * 1024;
        limits.Http2.InitialStreamWindowSize = 256 * 1024;
        options.Listen(_http1.EndPoint, listen => listen.Protocols = HttpProtocols.Http1);
        options.Listen(_http2.EndPoint, listen => listen.Protocols = HttpProtocols.Http2);
        VirtualListener[] all = [_http1, _http2];
        if (meshTls is { } tls)
        {
            options.Listen(tls.Listener.EndPoint, tls.Configure);
            all = [.. all, tls.Listener];
        }

        _server = new KestrelServer(Options.Create(options), new Listeners(all), loggers);
    }

    public Task StartAsync(CancellationToken cancellationToken) => _server.StartAsync(new Application(_serve), cancellationToken);

    /// <summary>HTTP/1 connections close after their answer, HTTP/2 ones get GOAWAY; what is not done when <paramref name="cancellationToken"/> ends is broken off.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => _server.StopAsync(cancellationToken);

    /// <summary>False when it has stopped: the connection stays the caller's.</summary>
    public bool Serve(ConnectionContext connection, bool http2) => (http2 ? _http2 : _http1).Offer(connection);

    public void Dispose() => _server.Dispose();

    private sealed class Listeners(VirtualListener[] all) : IConnectionListenerFactory
    {
        public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) =>
            new(Array.Find(all, l => ReferenceEquals(l.EndPoint, endpoint)) ?? throw new ArgumentException($"'{endpoint}' is no endpoint of this server.", nameof(endpoint)));
    }

    /// <summary>Nothing but the context: no scope of services, no diagnostics.</summary>
    private sealed class Application(RequestDelegate serve) : IHttpApplication<HttpContext>
    {
        public HttpContext CreateContext(IFeatureCollection contextFeatures)
        {
            // Kestrel keeps it per connection, or per stream of the pool.
            if (contextFeatures is IHostContextContainer<HttpContext> container)
            {
                if (container.HostContext is DefaultHttpContext known)
                {
                    known.Initialize(contextFeatures);
                    return known;
                }

                return container.HostContext = new DefaultHttpContext(contextFeatures);
            }

            return new DefaultHttpContext(contextFeatures);
        }

        public Task ProcessRequestAsync(HttpContext context) => serve(context);

        public void DisposeContext(HttpContext context, Exception? exception) => ((DefaultHttpContext)context).Uninitialize();
    }
}
