using Mesh.Identity;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Mesh.Server;

/// <summary>The endpoint of a Kestrel where mesh TLS ends: handshake, verified peer, its right to connect.</summary>
internal sealed class MeshTlsEndpoint(MeshGate gate, MeshTlsCallback callback, LiveConnections live, InboundCounters counters)
{
    /// <summary>Serves connections whose bytes are no HTTP; null where they are not taken (<see cref="MeshGate.TakesTcp"/>).</summary>
    public ConnectionDelegate? Tcp { get; set; }

    public void Configure(ListenOptions listen)
    {
        listen.Protocols = HttpProtocols.Http1AndHttp2;
        listen.UseHttps(new TlsHandshakeCallbackOptions
        {
            OnConnection = callback.OnConnectionAsync,
            HandshakeTimeout = MeshGate.LongestWait * 2,
        });
        listen.Use(next => connection => ServeAsync(connection, next));
    }

    private async Task ServeAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var isTcp = connection.Features.Get<ISslStreamFeature>()?.SslStream.NegotiatedApplicationProtocol == MeshTls.Tcp;
        if (SetPeer(connection, isTcp) is { } verified && IsAdmitted(connection))
        {
            using (live.Add(new InboundConnection(connection, counters, verified)))
            {
                await (isTcp && Tcp is { } tcp ? tcp : next)(connection).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Once per connection; the handshake has verified the certificate. Null: it is not to be served.</summary>
    private static VerifiedPeer? SetPeer(ConnectionContext connection, bool isTcp)
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
            mesh.IsTcp = isTcp;
        }

        return verified;
    }

    /// <summary>Where connections are judged and not requests.</summary>
    private bool IsAdmitted(ConnectionContext connection)
    {
        if (connection.Features.Get<MeshConnectionFeature>() is not { } mesh || gate.Connections.Admits(connection, mesh, bringsRequests: !mesh.IsTcp))
        {
            return true;
        }

        connection.Abort(new ConnectionAbortedException("This connection is denied by policy."));
        return false;
    }
}
