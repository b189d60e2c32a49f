using Mesh.Identity;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace Mesh.Server;

/// <summary>A connection of the mesh's server, ended when its caller is no longer believed or a certificate of it is over.</summary>
internal sealed class InboundConnection(ConnectionContext connection, InboundCounters counters, VerifiedPeer verified) : LiveConnection(verified.Identity, verified.Peer)
{
    /// <summary>HTTP/2: GOAWAY; HTTP/1: connection: close. What runs ends first.</summary>
    public override void Drain() => connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();

    public override void Close(string reason, string problem)
    {
        counters.Decide(Decisions.ConnectionEnded, reason);
        connection.Abort(new ConnectionAbortedException(problem));
    }
}
