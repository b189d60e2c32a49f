using System.Collections.Frozen;
using Mesh.Concurrency;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Routing;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Compiles every snapshot into a table and holds the one in force. Thread-safe.</summary>
internal sealed class OutboundTableStore : IDisposable, IAsyncDisposable
{
    private readonly Published<OutboundTable> _table = new(OutboundTable.Empty);
    private readonly Lock _lock = new();
    private readonly Dictionary<(string, string), Destination> _destinations = [];
#pragma warning disable CA2213 // Dispose() stops it; only DisposeAsync() can wait for it
    private readonly ClusterRegistry _clusters;
#pragma warning restore CA2213
    private readonly OutboundSettings _settings;
    private readonly MetricAggregate _aggregate;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly IDisposable _subscription;
    private Dictionary<string, OutboundListener> _compiled = new(StringComparer.Ordinal);
    private TaskCompletionSource _changed = NewSignal();

    // Guarded by _lock.
    private bool _disposed;

    public OutboundTableStore(IConfigSource source, ClusterRegistry clusters, OutboundSettings settings, MetricAggregate aggregate, TimeProvider time, Random random, ILoggerFactory loggers)
    {
        (_clusters, _settings, _aggregate, _time, _random) = (clusters, settings, aggregate, time, random);
        Names = new AskedNames(source, time, loggers.CreateLogger<AskedNames>());
        _subscription = source.Snapshots.Subscribe(Compile);
    }

    public OutboundTable Current => _table.Current;

    /// <summary>The names that were asked for.</summary>
    public AskedNames Names { get; }

    /// <summary>Waits until a name has an answer; null when the time is over first.</summary>
    public async Task<OutboundListener?> WaitForAsync(ListenerKey key, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        while (true)
        {
            // Before the table is read, so that no change between the two is missed.
            var changed = Volatile.Read(ref _changed).Task;
            if (Current.Find(key) is { Unavailable: null } found)
            {
                return found;
            }

            var left = timeout - _time.GetElapsedTime(start);
            if (left <= TimeSpan.Zero)
            {
                return Current.Find(key);
            }

            try
            {
                await changed.WaitAsync(left, _time, cancellationToken).ConfigureAwait(false);
            }
            catch (TimeoutException)
            {
                // The loop looks a last time.
            }
        }
    }

    public void Dispose()
    {
        Names.Dispose();
        _subscription.Dispose();
        lock (_lock)
        {
            // A snapshot that is being told of now must not bring anything back.
            _disposed = true;
            _clusters.Stop();
        }
    }

    /// <summary>Waits for what runs on the clusters' own account.</summary>
    public async ValueTask DisposeAsync()
    {
        Dispose();
        await _clusters.DisposeAsync().ConfigureAwait(false);
    }

    private void Compile(MeshSnapshot snapshot)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            CompileLocked(snapshot);
        }

        // Continuations run elsewhere: the signal was made so.
        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
    }

    private void CompileLocked(MeshSnapshot snapshot)
    {
        var gone = _clusters.Update(snapshot);
        var compiled = new Dictionary<string, OutboundListener>(snapshot.Listeners.Count, StringComparer.Ordinal);
        var table = new Dictionary<ListenerKey, OutboundListener>(snapshot.Listeners.Count);
        foreach (var (name, result) in snapshot.Listeners)
        {
            if (result is ListenerResult.Found { Listener.IsOutbound: false })
            {
                continue;
            }

            var listener = _compiled.TryGetValue(name, out var old) && ReferenceEquals(old.Result, result) && old.Clusters.All(c => ReferenceEquals(_clusters.Get(c.Name), c))
                ? old
                : CompileListener(name, result);
            compiled[name] = listener;
            var key = ListenerKey.Parse(name);
            table[key] = listener;
            Names.Answered(key, listener);
        }

        _compiled = compiled;
        _table.Publish(new OutboundTable(table.ToFrozenDictionary()));
        foreach (var cluster in gone)
        {
            cluster.Drain();
        }
    }

    private OutboundListener CompileListener(string name, ListenerResult result)
    {
        if (result is not ListenerResult.Found found)
        {
            return new OutboundListener(result) { Unavailable = (result as ListenerResult.Unavailable)?.Reason };
        }

        var clusters = new List<OutboundCluster>();
        var tcp = found.Listener.Tcp.Count == 0 ? null : CompileTcp(found.Listener.Tcp, clusters);
        var canonical = found.Routes?.Name ?? found.Listener.Tcp[^1].Name;
        var destination = DestinationOf(canonical.Length > 0 ? canonical : name);
        var routes = found.Routes is { } configuration
            ? new RouteTable<OutboundRoute>(configuration, (host, route) => CompileRoute(host, route, found, destination, clusters))
            : null;
        return new OutboundListener(result)
        {
            Host = routes?.Find(name),
            Tcp = tcp,
            Destination = destination,
            Clusters = clusters,
        };
    }

    private TcpRoutes CompileTcp(IReadOnlyList<TcpChain> chains, List<OutboundCluster> clusters)
    {
        var compiled = new (IReadOnlyList<string>, WeightedClusters<OutboundCluster>)[chains.Count];
        for (var i = 0; i < compiled.Length; i++)
        {
            compiled[i] = (chains[i].ServerNames, new WeightedClusters<OutboundCluster>([.. chains[i].Clusters.Select(c => (_clusters.Get(c.Name), c.Weight))]));
            clusters.AddRange(compiled[i].Item2.Items);
        }

        return new TcpRoutes(compiled);
    }

    private OutboundRoute CompileRoute(VirtualHost host, Route route, ListenerResult.Found listener, Destination destination, List<OutboundCluster> clusters)
    {
        if (route.Action is not RouteAction.Forward forward)
        {
            return new OutboundRoute(route) { Series = destination.RouteOf(route.Name), OwnAnswer = Steering.Compile(route, null) };
        }

        var maxStreamDuration = listener.Listener.Api?.MaxStreamDuration;
        var weighted = new (OutboundTarget, int)[forward.Clusters.Count];
        for (var i = 0; i < weighted.Length; i++)
        {
            weighted[i] = (CompileTarget(host, route, forward.Clusters[i], listener.Listener), forward.Clusters[i].Weight);
            clusters.Add(weighted[i].Item1.Cluster);
        }

        var mirrors = forward.Mirrors.Count == 0 ? null : forward.Mirrors.Select(m => new OutboundMirror(
            _clusters.Get(m.Cluster), m.PerMillion, new OutboundListener(listener) { Destination = DestinationOf(m.Cluster) })).ToArray();
        clusters.AddRange(mirrors?.Select(m => m.Cluster) ?? []);
        return new OutboundRoute(route)
        {
            Series = destination.RouteOf(route.Name),
            Clusters = new WeightedClusters<OutboundTarget>(weighted),
            Mirrors = mirrors,
            Hasher = forward.HashPolicies.Count == 0 ? null : new CallHasher(forward.HashPolicies),
            Resilience = RouteResilience.Compile(forward, maxStreamDuration, _time, _random),
            Narrowed = new NarrowedResilience(forward, maxStreamDuration, _time, _random),
        };
    }

    private OutboundTarget CompileTarget(VirtualHost host, Route route, WeightedCluster cluster, Listener listener)
    {
        FaultInjector? faults = null;
        SessionAffinity? sessions = null;
        foreach (var filter in listener.Api?.Filters ?? [])
        {
            switch (FilterOverrides.Effective(filter, cluster.FilterOverrides, route.FilterOverrides, host.FilterOverrides))
            {
                case FaultInjection { IsNone: false } settings:
                    faults = new FaultInjector(settings with { ExpiresAt = route.FaultExpiresAt ?? settings.ExpiresAt }, _time, _random);
                    break;
                case SessionAffinity { IsNone: false } settings:
                    sessions = settings;
                    break;
            }
        }

        return new OutboundTarget(_clusters.Get(cluster.Name)) { Steering = Steering.Compile(route, cluster), Faults = faults, Session = sessions };
    }

    private Destination DestinationOf(string name)
    {
        var key = ServiceNames.Parse(name);
        if (!_destinations.TryGetValue(key, out var destination))
        {
            _destinations[key] = destination = new Destination(key.Service, key.Namespace, _settings.Source, _settings.SourceNamespace, _aggregate);
        }

        return destination;
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}

/// <summary>What the outbound path needs of the options.</summary>
/// <param name="Source">Our workload's name in metrics.</param>
internal sealed record OutboundSettings(string Source, string SourceNamespace, string ClusterDomain)
{
    /// <summary>Longest wait for configuration or identity when the call itself sets no deadline (contracts §5).</summary>
    public TimeSpan ReadyTimeout { get; init; } = TimeSpan.FromSeconds(10);
}
