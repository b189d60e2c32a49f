using Mesh.Identity;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Mesh.Server;

/// <summary>The app's server and, beside it, a second Kestrel that serves the same app to the connections that turned out to be mesh TLS.</summary>
/// <remarks>Two servers, because an endpoint's protocols and TLS are fixed per endpoint: the app's stay as they are, byte for byte. With the mesh off, or under another server than Kestrel, only the app's runs.</remarks>
internal sealed class MeshServer(
    IServer inner, MeshGate gate, IOptions<KestrelServerOptions> appOptions, IServiceProvider services, ILoggerFactory loggers) : IServer
{
    private KestrelServer? _mesh;

    /// <summary>The app's: its addresses are all that anyone sees.</summary>
    public IFeatureCollection Features => inner.Features;

    public static bool IsKestrel(IServer server) => server.GetType().Assembly == typeof(KestrelServer).Assembly;

    public async Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancellationToken)
        where TContext : notnull
    {
        if (!gate.IsOn || !IsKestrel(inner))
        {
            await inner.StartAsync(application, cancellationToken).ConfigureAwait(false);
            return;
        }

        gate.Open();
        await inner.StartAsync(application, cancellationToken).ConfigureAwait(false);
        _mesh = new KestrelServer(Options.Create(MeshOptions()), gate.MeshConnections, loggers);
        await _mesh.StartAsync(application, cancellationToken).ConfigureAwait(false);
        gate.Started(inner.Features.Get<IServerAddressesFeature>());
    }

    public Task StopAsync(CancellationToken cancellationToken)
    {
        gate.Stopping();
        // At the same time: the app's listeners close while requests of both finish.
        return Task.WhenAll(StopMeshAsync(cancellationToken), inner.StopAsync(cancellationToken));
    }

    public void Dispose()
    {
        gate.Stopping();
        _mesh?.Dispose();
        gate.Stopped();
    }

    private async Task StopMeshAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (_mesh is not null)
            {
                await _mesh.StopAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            gate.Stopped();
        }
    }

    private KestrelServerOptions MeshOptions()
    {
        var options = MeshKestrelOptions.From(appOptions.Value, services);
        options.Listen(gate.MeshConnections.EndPoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http1AndHttp2;
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = services.GetRequiredService<MeshTlsCallback>().OnConnectionAsync,
                HandshakeTimeout = MeshGate.LongestWait * 2,
            });
            var (live, counters) = (services.GetRequiredService<LiveConnections>(), services.GetRequiredService<InboundCounters>());
            listen.Use(next => async connection =>
            {
                if (SetPeer(connection) is { } verified && IsAdmitted(connection))
                {
                    using (live.Add(new InboundConnection(connection, counters, verified)))
                    {
                        await next(connection).ConfigureAwait(false);
                    }
                }
            });
        });
        return options;
    }

    /// <summary>Once per connection; the handshake has verified the certificate. Null: it is not to be served.</summary>
    private static VerifiedPeer? SetPeer(ConnectionContext connection)
    {
        if (connection.Features.Get<ITlsConnectionFeature>()?.ClientCertificate is not { } certificate
            || connection.Features.Get<VerifiedPeer>() is not { Peer.Id: { } id } verified)
        {
            connection.Abort(new ConnectionAbortedException("The peer of a mesh connection has no verified identity."));
            return null;
        }

        var peer = new MeshPeerFeature(id, certificate);
        connection.Features.Set(peer);
        if (connection.Features.Get<MeshConnectionFeature>() is { } mesh)
        {
            mesh.Peer = peer;
        }

        return verified;
    }

    /// <summary>Where connections are judged and not requests.</summary>
    private bool IsAdmitted(ConnectionContext connection)
    {
        if (connection.Features.Get<MeshConnectionFeature>() is not { } mesh || gate.Connections.Admits(connection, mesh, bringsRequests: true))
        {
            return true;
        }

        connection.Abort(new ConnectionAbortedException("This connection is denied by policy."));
        return false;
    }
}
