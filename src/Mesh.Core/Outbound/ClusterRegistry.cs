using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>The live clusters by name, kept across tables. Owned by the table store's publisher.</summary>
/// <param name="transport">Null is real sockets.</param>
/// <param name="random">Asked once per cluster, for a seed; null is chance.</param>
/// <param name="decisions">Null counts nothing.</param>
/// <param name="live">Who ends connections whose peer is no longer believed; null: nobody.</param>
/// <param name="own">Where this workload runs; null is unknown.</param>
/// <param name="subchannels">Null counts nothing.</param>
/// <param name="seen">How an endpoint is reached from here; null is as the control plane says.</param>
internal sealed class ClusterRegistry(
    IWorkloadIdentitySource identities, TimeProvider time, ILoggerFactory loggers, IEndpointTransport? transport = null, Random? random = null, DecisionCounter? decisions = null,
    Locality? own = null, LiveConnections? live = null, Func<Endpoint, Endpoint>? seen = null, SubchannelMetrics? subchannels = null)
    : IAsyncDisposable
{
    private readonly Dictionary<string, OutboundCluster> _clusters = new(StringComparer.Ordinal);
    private readonly ILogger<ClusterBalancer> _balancerLogger = loggers.CreateLogger<ClusterBalancer>();
    private readonly ILogger<ClusterWatch> _watchLogger = loggers.CreateLogger<ClusterWatch>();
    private readonly IEndpointTransport _transport = transport
        ?? new SocketsTransport(new MeshConnector(time, live, decisions, loggers.CreateLogger<OutboundPipeline>(), subchannels), identities);
    private readonly Random _random = random ?? new Random();
    private Dictionary<string, ClusterResult> _seen = new(StringComparer.Ordinal);

    /// <summary>The live cluster of a name; made when it is new.</summary>
    public OutboundCluster Get(string name)
    {
        if (!_clusters.TryGetValue(name, out var cluster))
        {
            _clusters[name] = cluster = new OutboundCluster(name, CreateBalancer, time, CreateWatch);
        }

        return cluster;
    }

    private ClusterResult FromHere(ClusterResult result) => seen is null || result is not ClusterResult.Found { Endpoints: var all } found ? result : found with
    {
        Endpoints = all with { Localities = [.. all.Localities.Select(l => l with { Endpoints = [.. l.Endpoints.Select(seen)] })] },
    };

    /// <summary>Brings every cluster up to date; clusters that are gone from the snapshot are returned, to be drained once the new table is in force.</summary>
    public IReadOnlyList<OutboundCluster> Update(MeshSnapshot snapshot)
    {
        var next = new Dictionary<string, ClusterResult>(StringComparer.Ordinal);
        foreach (var (name, result) in snapshot.Clusters)
        {
            next[name] = result;
            if (!_seen.TryGetValue(name, out var old) || !ReferenceEquals(old, result))
            {
                Get(name).Update(FromHere(result));
            }
        }

        List<OutboundCluster>? gone = null;
        foreach (var name in _clusters.Keys.Where(n => !next.ContainsKey(n)).ToArray())
        {
            _clusters.Remove(name, out var cluster);
            (gone ??= []).Add(cluster!);
        }

        _seen = next;
        return gone ?? [];
    }

    /// <summary>The program ends: what runs on the clusters' own account is told to.</summary>
    public void Stop()
    {
        foreach (var cluster in _clusters.Values)
        {
            cluster.Drain();
        }
    }

    /// <summary><see cref="Stop"/>, and waits for the end.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var cluster in _clusters.Values)
        {
            await cluster.StopAsync().ConfigureAwait(false);
        }
    }

    private ClusterWatch CreateWatch(OutboundCluster cluster) => new(cluster, _transport, identities, time, _random, decisions, _watchLogger);

    private ClusterBalancer CreateBalancer(OutboundCluster cluster) =>
        new(
            cluster.Name,
            (endpoint, latency) => new OutboundEndpoint(cluster, endpoint, latency, identities, _transport, time),
            time,
            _balancerLogger,
            new Random(_random.Next()),
            ejection =>
            {
                decisions?.Count(Decisions.Eject, ejection.Reason, cluster.Service, cluster.Namespace);
                subchannels?.Ejected(cluster, ejection.Reason);
            },
            new BalancerPlace(own, decisions, cluster.Service, cluster.Namespace, subchannels?.WeightsOf(cluster)));
}
