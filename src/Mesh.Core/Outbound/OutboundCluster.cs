using Mesh.Balancing;
using Mesh.Config;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>What lives as long as a cluster's name is known: balancer, limit and retry budget. Thread-safe.</summary>
internal sealed class OutboundCluster
{
    private readonly ClusterBalancer _balancer;
    private string? _unavailable = "it has not been received yet";

    public OutboundCluster(string name, Func<OutboundCluster, ClusterBalancer> createBalancer, TimeProvider time)
    {
        Name = name;
        (Service, Namespace) = ServiceNames.Parse(name);
        Config = new Cluster(name, name, TimeSpan.FromSeconds(5));
        Budget = new RetryBudget(time);
        _balancer = createBalancer(this);
    }

    public string Name { get; }

    public string Service { get; }

    public string Namespace { get; }

    public Cluster Config { get; private set; }

    public ConcurrencyLimit Limit { get; } = new();

    public RetryBudget Budget { get; }

    public ClusterBalancer Balancer => _balancer;

    /// <summary>Why a pick found nothing.</summary>
    public string WhyEmpty => _unavailable is { } reason
        ? $"cluster '{Name}' is not available: {reason}"
        : $"cluster '{Name}' has {_balancer.Endpoints.Count} endpoints and none is healthy";

    /// <summary>Owned by the registry.</summary>
    public void Update(ClusterResult? result)
    {
        if (result is not ClusterResult.Found found)
        {
            // What it had stays in use: an old endpoint is better than none.
            _unavailable = result is ClusterResult.Unavailable { Reason: var reason } ? reason : "no configuration names it";
            return;
        }

        _unavailable = null;
        Config = found.Cluster;
        Limit.Max = found.Cluster.MaxRequests;
        foreach (var gone in _balancer.Update(found.Cluster, found.Endpoints))
        {
            ((OutboundEndpoint)gone).Retire();
        }
    }

    /// <summary>The cluster is gone: nobody is judged any more; what is in flight ends, then its connections close.</summary>
    public void Drain()
    {
        _balancer.Dispose();
        foreach (var endpoint in _balancer.Endpoints)
        {
            ((OutboundEndpoint)endpoint).Retire();
        }
    }
}
