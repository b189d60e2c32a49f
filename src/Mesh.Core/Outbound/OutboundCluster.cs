using Mesh.Balancing;
using Mesh.Config;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>What lives as long as a cluster's name is known: balancer, limit and retry budget. Thread-safe.</summary>
internal sealed class OutboundCluster
{
    private readonly ClusterBalancer _balancer;
    private readonly ClusterWatch? _watch;
    private string? _unavailable = "it has not been received yet";

    public OutboundCluster(string name, Func<OutboundCluster, ClusterBalancer> createBalancer, TimeProvider time, Func<OutboundCluster, ClusterWatch>? createWatch = null)
    {
        Name = name;
        (Service, Namespace) = ServiceNames.Parse(name);
        Config = new Cluster(name, name, TimeSpan.FromSeconds(5));
        Budget = new RetryBudget(time);
        _balancer = createBalancer(this);
        _watch = createWatch?.Invoke(this);
    }

    public string Name { get; }

    public string Service { get; }

    public string Namespace { get; }

    public Cluster Config { get; private set; }

    public ConcurrencyLimit Limit { get; } = new();

    public ConnectionLimits Connections { get; } = new();

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
        var reconnect = Config.Connections != found.Cluster.Connections || Config.ConnectTimeout != found.Cluster.ConnectTimeout
            || !SameTls(Config.UpstreamTls, found.Cluster.UpstreamTls);
        Config = found.Cluster;
        (Connections.MaxOpen, Connections.MaxWaiting) = (found.Cluster.MaxConnections, found.Cluster.MaxPendingRequests);
        Limit.Max = found.Cluster.MaxRequests;
        Budget.Size = found.Cluster.RetryBudget;
        foreach (var gone in _balancer.Update(found.Cluster, found.Endpoints))
        {
            ((OutboundEndpoint)gone).Retire();
        }

        if (reconnect)
        {
            foreach (var endpoint in _balancer.Endpoints)
            {
                ((OutboundEndpoint)endpoint).Reconnect();
            }
        }

        _watch?.Update(found.Cluster, _balancer.Endpoints);
    }

    /// <summary>By value: an update that says the same again closes nothing.</summary>
    private static bool SameTls(UpstreamTls? a, UpstreamTls? b) => a is null || b is null
        ? a is null && b is null
        : a.Sni == b.Sni && a.AllowedSubjects.Select(s => (s.Kind, s.Text, s.IgnoreCase)).SequenceEqual(b.AllowedSubjects.Select(s => (s.Kind, s.Text, s.IgnoreCase)));

    /// <summary>The cluster is gone: nobody is judged any more; what is in flight ends, then its connections close.</summary>
    public void Drain()
    {
        _balancer.Dispose();
        _watch?.Stop();
        foreach (var endpoint in _balancer.Endpoints)
        {
            ((OutboundEndpoint)endpoint).Retire();
        }
    }

    /// <summary>The program ends: <see cref="Drain"/>, and waits for what runs on the cluster's own account.</summary>
    public async ValueTask StopAsync()
    {
        Drain();
        if (_watch is not null)
        {
            await _watch.DisposeAsync().ConfigureAwait(false);
        }
    }
}
