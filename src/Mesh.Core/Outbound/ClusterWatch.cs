using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>What the mesh does on its own account to know the endpoints of one cluster: health checks, load reports; and to have connections ready. Thread-safe.</summary>
internal sealed class ClusterWatch : IAsyncDisposable
{
    private readonly HealthLoop _health;
    private readonly LoadStreams _loads;
    private readonly WarmConnections _warm;

    /// <param name="decisions">Null counts nothing.</param>
    public ClusterWatch(
        OutboundCluster cluster, IEndpointTransport transport, IWorkloadIdentitySource identities, TimeProvider time, Random random, DecisionCounter? decisions, ILogger<ClusterWatch> logger)
    {
        _health = new HealthLoop(
            cluster.Name,
            new HealthProbes(transport, identities, time).ProbeAsync,
            time,
            new Random(random.Next()),
            () => decisions?.Count(Decisions.Eject, Ejection.HealthCheck, cluster.Service, cluster.Namespace),
            logger);
        _loads = new LoadStreams(cluster.Name, time, new Random(random.Next()), logger);
        _warm = new WarmConnections(time, new Random(random.Next()));
    }

    /// <summary>The cluster has new settings or endpoints. One caller at a time.</summary>
    public void Update(Cluster config, IReadOnlyList<BalancedEndpoint> endpoints)
    {
        _health.Update(config.HealthCheck, endpoints);
        _loads.Update(config, endpoints);
        _warm.Update(config, endpoints);
    }

    /// <summary>The cluster is gone.</summary>
    public void Stop()
    {
        _health.Stop();
        _loads.Stop();
        _warm.Stop();
    }

    public async ValueTask DisposeAsync()
    {
        await _health.DisposeAsync().ConfigureAwait(false);
        await _loads.DisposeAsync().ConfigureAwait(false);
        await _warm.DisposeAsync().ConfigureAwait(false);
    }
}
