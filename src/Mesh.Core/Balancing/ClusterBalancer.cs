using Mesh.Balancing.Pickers;
using Mesh.Concurrency;
using Mesh.Config;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Balancing;

/// <summary>The live endpoints of one cluster: updates in, picks out. Endpoints keep their history across updates. Thread-safe.</summary>
/// <remarks>
/// A pick reads one published view of who is in. It is made again only by an update, when an endpoint has become usable or unusable, or when somebody's time out is over:
/// by the pick that finds it so, while the others go on with the old one.
/// </remarks>
/// <param name="name">For logs.</param>
/// <param name="create">Makes the live form of a new endpoint.</param>
/// <param name="random">For outlier detection, whose lock guards it; null is one of its own.</param>
/// <param name="ejected">Told of every ejection.</param>
/// <param name="place">Where the caller stands, and what it counts; null is neither.</param>
internal sealed partial class ClusterBalancer(
    string name, Func<Endpoint, PeakEwma, BalancedEndpoint> create, TimeProvider time, ILogger<ClusterBalancer> logger,
    Random? random = null, Action<Ejection>? ejected = null, BalancerPlace? place = null)
{
    private static readonly TimeSpan SpillEnds = TimeSpan.FromSeconds(1);

    // Calls that an endpoint which joins others may take to warm up.
    private const int NewcomersTrials = 10;
    private readonly OutlierDetector _outliers = new(time, random ?? new Random());
    private readonly Published<State> _state = new(State.Empty);
    private readonly UsabilityChanges _changes = new();

    // Guards the making of views; _pickers too. Picks never wait for it.
    private readonly Lock _lock = new();

    // By locality, so that each goes on where it was.
    private readonly Dictionary<(int Priority, Locality), Picker> _pickers = [];
    private BalancerView _view = BalancerView.Empty;
    private long _spilledAt = long.MinValue;

    public IReadOnlyList<BalancedEndpoint> Endpoints => _state.Current.All;

    /// <summary>Takes over a new configuration. One caller at a time. Returns the endpoints that are gone.</summary>
    public IReadOnlyList<BalancedEndpoint> Update(Cluster cluster, LoadAssignment assignment)
    {
        var old = _state.Current;
        var known = new Dictionary<Key, BalancedEndpoint>();
        foreach (var endpoint in old.All)
        {
            known[Key.Of(endpoint.Config)] = endpoint;
        }

        var initial = MeanLatency(old.All);
        var all = new List<BalancedEndpoint>();
        var groups = new GroupBuilder(cluster, place?.Own, time, place?.Weights);
        var seen = new HashSet<Key>();
        foreach (var locality in assignment.Localities)
        {
            var listed = new List<BalancedEndpoint>();
            foreach (var config in locality.Endpoints)
            {
                if (!seen.Add(Key.Of(config)))
                {
                    continue;
                }

                if (known.Remove(Key.Of(config), out var endpoint))
                {
                    endpoint.Config = config;
                }
                else
                {
                    endpoint = create(config, new PeakEwma(time, initial ?? PeakEwma.DefaultRtt, initial is null ? 0 : NewcomersTrials));
                    endpoint.Changes = _changes;
                }

                all.Add(endpoint);
                if (config.Healthy)
                {
                    listed.Add(endpoint);
                }
            }

            groups.Add(locality, listed);
        }

        lock (_lock)
        {
            if (!SamePickers(old.Cluster, cluster))
            {
                _pickers.Clear();
            }

            _state.Publish(new State([.. all], groups.Build(old.Priorities, _pickers), cluster, assignment));
            LookLocked(time.GetTimestamp());
        }

        _outliers.Configure(cluster.OutlierDetection, [.. all], Ejected);
        return [.. known.Values];
    }

    /// <summary>The endpoint for an attempt; null when the control plane lists none that may be used.</summary>
    /// <param name="tried">Avoided as long as there is another one.</param>
    /// <param name="now">Timestamp.</param>
    /// <param name="hash">Of the call; only ring hash looks at it.</param>
    public BalancedEndpoint? Pick(Random random, TriedEndpoints tried, long now, ulong hash = 0)
    {
        var view = ViewAt(now);
        if (view.Levels.Length == 0)
        {
            return null;
        }

        var request = new PickRequest(random, hash, now, tried, LeftOut.Unusable);
        return view.Draw(random, hash).Pick(request)
            ?? PickAny(view, request)
            ?? PickAny(view, request.WithoutTried())
            // Since the view was made the last one has become unusable: a bad answer is better than none.
            ?? view.Levels[0].Group.Pick(request.WithoutTried().With(LeftOut.Nobody));
    }

    /// <summary>The endpoint that a session sticks to; null when it is gone or not healthy. One that drains, or asked for less calls for a while, still serves its sessions.</summary>
    /// <param name="now">Timestamp.</param>
    public BalancedEndpoint? Find(string hostPort, long now) =>
        _state.Current.ByAddress.TryGetValue(hostPort, out var endpoint) && endpoint.Config is { Healthy: true } or { Draining: true } && endpoint.IsHealthy(now) ? endpoint : null;

    /// <summary>The category by which the control plane wants this call dropped; null lets it through.</summary>
    public string? Drop(Random random)
    {
        var drops = _state.Current.Drops;
        for (var i = 0; i < drops.Length; i++)
        {
            if (random.Next(1_000_000) < drops[i].PerMillion)
            {
                return drops[i].Name;
            }
        }

        return null;
    }

    /// <summary>An attempt could not connect: who sticks to the endpoint lets go of it.</summary>
    public void ConnectFailed(BalancedEndpoint endpoint)
    {
        foreach (var priority in _state.Current.Priorities)
        {
            priority.Whole?.ConnectFailed(endpoint);
        }
    }

    private static BalancedEndpoint? PickAny(BalancerView view, in PickRequest request)
    {
        foreach (var level in view.Levels)
        {
            if (level.Pick(request) is { } endpoint)
            {
                return endpoint;
            }
        }

        return null;
    }

    private static bool SamePickers(Cluster? old, Cluster next) =>
        old is not null && old.LoadBalancing == next.LoadBalancing && old.SlowStart == next.SlowStart
        && old.LeastRequestChoices == next.LeastRequestChoices && SameReports(old.WeightedRoundRobin, next.WeightedRoundRobin);

    private static bool SameReports(WeightedRoundRobin a, WeightedRoundRobin b) => a with { MetricNames = b.MetricNames } == b;

    private BalancerView ViewAt(long now)
    {
        var view = Volatile.Read(ref _view);
        if (!view.IsCurrent(_changes.Count, now) && _lock.TryEnter())
        {
            try
            {
                view = LookLocked(now);
            }
            finally
            {
                _lock.Exit();
            }
        }

        return view;
    }

    private BalancerView LookLocked(long now)
    {
        var state = _state.Current;
        // Counted before anybody is looked at: a change that comes meanwhile makes the view stale at once.
        var changes = _changes.Count;
        var settings = (state.Cluster?.PanicThresholdPercent ?? 0, state.Overprovisioning, state.Cluster?.LoadBalancing == LoadBalancing.RingHash);
        var view = BalancerView.Look(state.All, state.Priorities, settings, changes, now, Spilled);
        var old = _view;
        Volatile.Write(ref _view, view);
        Tell(old, view);
        return view;
    }

    private void Tell(BalancerView old, BalancerView view)
    {
        if (view.Panics != old.Panics)
        {
            if (view.Panics)
            {
                place?.Count(Decisions.Panic, "threshold");
                Log.Panics(logger, name);
            }
            else
            {
                Log.PanicEnded(logger, name);
            }
        }

        if (view.FailsOver && !old.FailsOver)
        {
            place?.Count(Decisions.Failover, "priority");
            Log.FailsOver(logger, name);
        }

        if (view.LeavesNear && !old.LeavesNear)
        {
            place?.Count(Decisions.Failover, "locality");
            Log.LeavesNear(logger, name);
        }
    }

    /// <summary>Load moved a call away from the near endpoints. A second without one ends that state.</summary>
    private void Spilled(long now)
    {
        var before = Interlocked.Exchange(ref _spilledAt, now);
        if (before == long.MinValue || time.GetElapsedTime(before, now) > SpillEnds)
        {
            place?.Count(Decisions.Failover, "locality");
        }
    }

    /// <summary>Null when nobody was measured yet.</summary>
    private TimeSpan? MeanLatency(BalancedEndpoint[] endpoints)
    {
        var now = time.GetTimestamp();
        var (sum, count) = (0.0, 0);
        foreach (var endpoint in endpoints)
        {
            if (endpoint.Latency.HasSamples)
            {
                sum += endpoint.Latency.Cost(now);
                count++;
            }
        }

        return count == 0 ? null : TimeSpan.FromSeconds(sum / count);
    }

    /// <summary>What makes an endpoint the same one: another identity at the same address is another workload.</summary>
    private readonly record struct Key(string Address, int Port, EndpointTls Tls, Spiffe.SpiffeId? Id, bool SpeaksHttp2)
    {
        public static Key Of(Endpoint e) => new(e.Address, e.Port, e.Tls, e.SpiffeId, e.SpeaksHttp2);
    }

    private sealed record State(BalancedEndpoint[] All, PriorityEndpoints[] Priorities, Cluster? Cluster, LoadAssignment? Assignment)
    {
        private Dictionary<string, BalancedEndpoint>? _byAddress;

        public static State Empty { get; } = new([], [], null, null);

        public int Overprovisioning => Assignment?.OverprovisioningPercent ?? 100;

        public DropCategory[] Drops { get; } = [.. Assignment?.Drops ?? []];

        /// <summary>Made when the first session asks.</summary>
        public Dictionary<string, BalancedEndpoint> ByAddress
        {
            get
            {
                if (Volatile.Read(ref _byAddress) is { } made)
                {
                    return made;
                }

                var byAddress = new Dictionary<string, BalancedEndpoint>(StringComparer.Ordinal);
                foreach (var endpoint in All)
                {
                    byAddress.TryAdd(endpoint.Config.HostPort, endpoint);
                }

                Volatile.Write(ref _byAddress, byAddress);
                return byAddress;
            }
        }
    }
}

/// <summary>Who balances: where it stands, and where its decisions are counted.</summary>
/// <param name="Own">Null is unknown.</param>
/// <param name="Decisions">Null counts nothing.</param>
/// <param name="Service">The called service, for what is counted.</param>
/// <param name="Namespace">Its namespace.</param>
/// <param name="Weights">Told of weights by load reports; null: nobody is.</param>
internal sealed record BalancerPlace(Locality? Own, DecisionCounter? Decisions, string Service, string Namespace, IWeightWatch? Weights = null)
{
    public void Count(string decision, string reason) => Decisions?.Count(decision, reason, Service, Namespace);
}
