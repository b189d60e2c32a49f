using System.Net.Security;
using Mesh.Identity;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>Gives each handshake the certificate of its moment: a renewal is in force at the next connection.</summary>
internal sealed partial class MeshTlsCallback(IWorkloadIdentitySource identity, ILogger<MeshTlsCallback> logger)
{
    private volatile Generation? _generation;

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

        // One options object per generation: TLS resumption works only within one.
        var generation = _generation;
        if (generation?.Identity != current)
        {
            _generation = generation = new Generation(current, MeshTls.ForServer(current, problem => Log.PeerRefused(logger, problem)));
        }

        return generation.Options;
    }

    private sealed record Generation(WorkloadIdentity Identity, SslServerAuthenticationOptions Options);
}
