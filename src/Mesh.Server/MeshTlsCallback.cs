using System.Net.Security;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>Gives each handshake the certificate of its moment: a renewal is in force at the next connection.</summary>
internal sealed partial class MeshTlsCallback(MeshGate gate, IWorkloadIdentitySource identity, InboundCounters counters, ILogger<MeshTlsCallback> logger)
{
    /// <summary>Waits for the first identity; the handshake's own time-out bounds it.</summary>
    public async ValueTask<SslServerAuthenticationOptions> OnConnectionAsync(TlsHandshakeCallbackContext context)
    {
        var current = identity.Current;
        if (current is null)
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(context.CancellationToken);
            patience.CancelAfter(MeshGate.LongestWait);
            try
            {
                current = await identity.GetAsync(patience.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                Log.NoIdentityYet(logger, identity.Problem ?? "the control plane has not answered yet");
                throw new ConnectionAbortedException("This workload has no certificate yet.");
            }
        }

        // TLS resumption goes by the certificate's context; the options are the connection's own, so that its peer is told to it.
        var shown = current;
        var connection = context.Connection;
        return MeshTls.ForServer(
            shown,
            refusal =>
            {
                counters.Decide(Decisions.PeerRefused, refusal.Reason);
                Log.PeerRefused(logger, refusal.Problem);
            },
            peer => connection.Features.Set(new VerifiedPeer(shown, peer)),
            gate.TakesTcp);
    }
}

/// <summary>A connection's peer, as the handshake verified it.</summary>
/// <param name="Identity">Who we were then.</param>
internal sealed record VerifiedPeer(WorkloadIdentity Identity, Peer Peer);
