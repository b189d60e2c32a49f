using Mesh.Client.Coexistence;
using Mesh.Hosting;
using Mesh.Outbound;
using Mesh.Resilience;
using Microsoft.Extensions.Options;

namespace Mesh.Client;

/// <summary>Puts together what a client allows: its options in code and configuration, those of the services it calls, and what its standard resilience handlers say.</summary>
internal sealed class ClientLimitsFactory(IOptions<MeshOptions> mesh, IOptionsMonitor<MeshClientOptions> clients, ResilienceHandlers resilience)
{
    private static readonly CallLimits OneAttempt = new(null, null, 0) { NoHedging = true };

    /// <param name="handlers">The client's own; standard resilience handlers among them yield from here on, unless they own the retries.</param>
    /// <exception cref="MeshConfigurationException">The client's options are wrong and nobody looked at them at start.</exception>
    public ClientLimits? Create(string client, IList<DelegatingHandler> handlers)
    {
        var code = clients.Get(client);
        if (MeshCallOptionsReader.Problems(code, $"ConfigureMesh of client '{client}': ").ToList() is { Count: > 0 } problems)
        {
            throw new MeshConfigurationException(problems);
        }

        mesh.Value.Clients.TryGetValue(client, out var configured);
        var never = new HashSet<HttpMethod>();
        var handlersOwn = code.RetryOwner == MeshRetryOwner.Client || configured?.RetryOwner == MeshRetryOwner.Client;
        var own = ClientLimits.Narrower(
            handlersOwn ? OneAttempt : resilience.Reconcile(client, handlers, never),
            ClientLimits.Narrower(ClientLimits.Of(code), configured is null ? null : ClientLimits.Of(configured)));
        return own is null && never.Count == 0 && mesh.Value.Services.Count == 0
            ? null
            : new ClientLimits(client, own, mesh.Value.Services, mesh.Value.Namespace, never);
    }
}
