using Mesh.Balancing.Pickers;
using Mesh.Concurrency;
using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Balancing;

/// <summary>The live endpoints of one cluster: updates in, picks out. Endpoints keep their history across updates. Thread-safe.</summary>
/// <param name="name">For logs.</param>
/// <param name="create">Makes the live form of a new endpoint.</param>
internal sealed partial class ClusterBalancer(string name, Func<Endpoint, PeakEwma, BalancedEndpoint> create, TimeProvider time, ILogger<ClusterBalancer> logger)
{
    private readonly OutlierDetector _outliers = new(time);
    private readonly Published<State> _state = new(new State([], [], LoadBalancing.PeakEwma, null));

    // Owned by Update. By locality, so that each goes on where it was.
    private readonly Dictionary<(int Priority, Locality), Picker> _pickers = [];

    private readonly UsabilityChanges _changes = new();
    private Sight _sight = new(-1, long.MinValue, false);

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
        var groups = new GroupBuilder(cluster);
        var seen = new HashSet<Key>();
        foreach (var locality in assignment.Localities)
        {
            var healthy = new List<BalancedEndpoint>();
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
                    endpoint = create(config, new PeakEwma(time, initial));
                    endpoint.Changes = _changes;
                }

                all.Add(endpoint);
                if (config.Healthy)
                {
                    healthy.Add(endpoint);
                }
            }

            groups.Add(locality, healthy);
        }

        if (old.Policy != cluster.LoadBalancing)
        {
            _pickers.Clear();
        }

        _changes.Mark();
        _state.Publish(new State([.. all], groups.Build(old.ByPriority, _pickers), cluster.LoadBalancing, cluster.OutlierDetection));
        return [.. known.Values];
    }

    /// <summary>The endpoint for an attempt; null when the cluster has no healthy one.</summary>
    /// <param name="tried">Avoided as long as there is another one.</param>
    /// <param name="hash">Of the call; only ring hash looks at it.</param>
    public BalancedEndpoint? Pick(Random random, TriedEndpoints tried, long now, ulong hash = 0)
    {
        var state = _state.Current;
        if (state.ByPriority.Length == 0)
        {
            return null;
        }

        var someoneIsOut = IsSomeoneOut(state, now);
        if (!someoneIsOut && tried.IsEmpty)
        {
            return state.ByPriority[0].Pick(new PickRequest(random, hash, now, default, skipOut: false));
        }

        return PickFiltered(state, new PickRequest(random, hash, now, tried, someoneIsOut))
            ?? (tried.IsEmpty ? null : PickFiltered(state, new PickRequest(random, hash, now, default, someoneIsOut)))
            // Everybody sits out: a bad answer is better than none (Envoy's panic).
            ?? state.ByPriority[0].Pick(new PickRequest(random, hash, now, default, skipOut: false));
    }

    /// <summary>An attempt could not connect: who sticks to the endpoint lets go of it.</summary>
    public void ConnectFailed(BalancedEndpoint endpoint)
    {
        foreach (var group in _state.Current.ByPriority)
        {
            group.ConnectFailed(endpoint);
        }
    }

    /// <summary>An attempt ended: its failures in a row may eject the endpoint.</summary>
    public void Report(BalancedEndpoint endpoint, bool failed, long now)
    {
        if (failed)
        {
            endpoint.Latency.Penalize(now);
        }

        var state = _state.Current;
        if (state.Outliers is { } settings && _outliers.Report(settings, endpoint, failed, state.All, now))
        {
            Log.EndpointEjected(logger, endpoint.Config.HostPort, name, settings.ConsecutiveFailures, time.GetElapsedTime(now, endpoint.EjectedUntil).TotalSeconds);
        }
    }

    /// <summary>Looks again only when something changed, or somebody's time is over.</summary>
    private bool IsSomeoneOut(State state, long now)
    {
        var sight = Volatile.Read(ref _sight);
        if (sight.Changes == _changes.Count && now < sight.Until)
        {
            return sight.SomeoneIsOut;
        }

        var (changes, until, someone) = (_changes.Count, long.MaxValue, false);
        foreach (var endpoint in state.All)
        {
            if (!endpoint.Observe(now))
            {
                someone = true;
                until = Math.Min(until, Math.Max(endpoint.EjectedUntil, endpoint.SteeredUntil));
            }
        }

        Volatile.Write(ref _sight, new Sight(changes, until > now ? until : long.MaxValue, someone));
        return someone;
    }

    private static BalancedEndpoint? PickFiltered(State state, in PickRequest request)
    {
        foreach (var group in state.ByPriority)
        {
            if (group.Pick(request) is { } endpoint)
            {
                return endpoint;
            }
        }

        return null;
    }

    private TimeSpan MeanLatency(BalancedEndpoint[] endpoints)
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

        return count == 0 ? PeakEwma.DefaultRtt : TimeSpan.FromSeconds(sum / count);
    }

    /// <summary>What makes an endpoint the same one: another identity at the same address is another workload.</summary>
    private readonly record struct Key(string Address, int Port, EndpointTls Tls, Spiffe.SpiffeId? Id, bool SpeaksHttp2)
    {
        public static Key Of(Endpoint e) => new(e.Address, e.Port, e.Tls, e.SpiffeId, e.SpeaksHttp2);
    }

    /// <param name="Until">Timestamp of the next return.</param>
    private sealed record Sight(int Changes, long Until, bool SomeoneIsOut);

    private sealed record State(BalancedEndpoint[] All, EndpointGroup[] ByPriority, LoadBalancing Policy, OutlierDetection? Outliers);
}
