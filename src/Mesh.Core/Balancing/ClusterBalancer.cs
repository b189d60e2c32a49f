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
    private readonly Published<State> _state = new(new State([], [], Picker.For(LoadBalancing.PeakEwma), LoadBalancing.PeakEwma, null));

    // Timestamp after which nobody sits out: before it a pick must look, after it need not.
    private long _ejectionsUntil = long.MinValue;

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
        var byPriority = new SortedDictionary<int, List<BalancedEndpoint>>();
        var seen = new HashSet<Key>();
        foreach (var locality in assignment.Localities)
        {
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
                }

                all.Add(endpoint);
                if (config.Healthy)
                {
                    if (!byPriority.TryGetValue(locality.Priority, out var group))
                    {
                        byPriority[locality.Priority] = group = [];
                    }

                    group.Add(endpoint);
                }
            }
        }

        var picker = old.Policy == cluster.LoadBalancing ? old.Picker : Picker.For(cluster.LoadBalancing);
        _state.Publish(new State([.. all], [.. byPriority.Values.Select(g => g.ToArray())], picker, cluster.LoadBalancing, cluster.OutlierDetection));
        return [.. known.Values];
    }

    /// <summary>The endpoint for an attempt; null when the cluster has no healthy one.</summary>
    /// <param name="tried">Avoided as long as there is another one.</param>
    public BalancedEndpoint? Pick(Random random, TriedEndpoints tried, long now)
    {
        var state = _state.Current;
        if (state.ByPriority.Length == 0)
        {
            return null;
        }

        var lookForEjected = Volatile.Read(ref _ejectionsUntil) > now;
        if (!lookForEjected && tried.IsEmpty)
        {
            return state.Picker.Pick(new Candidates(state.ByPriority[0], now), random);
        }

        return PickFiltered(state, random, tried, lookForEjected, now)
            ?? (tried.IsEmpty ? null : PickFiltered(state, random, default, lookForEjected, now))
            // Everybody sits out: a bad answer is better than none (Envoy's panic).
            ?? state.Picker.Pick(new Candidates(state.ByPriority[0], now), random);
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
            var until = endpoint.EjectedUntil;
            var seen = Volatile.Read(ref _ejectionsUntil);
            while (until > seen && Interlocked.CompareExchange(ref _ejectionsUntil, until, seen) is var found && found != seen)
            {
                seen = found;
            }

            Log.EndpointEjected(logger, endpoint.Config.HostPort, name, settings.ConsecutiveFailures, time.GetElapsedTime(now, until).TotalSeconds);
        }
    }

    private static BalancedEndpoint? PickFiltered(State state, Random random, TriedEndpoints tried, bool skipEjected, long now)
    {
        foreach (var group in state.ByPriority)
        {
            var candidates = new Candidates(group, now, tried, skipEjected);
            if (candidates.Count > 0)
            {
                return state.Picker.Pick(candidates, random);
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

    private sealed record State(BalancedEndpoint[] All, BalancedEndpoint[][] ByPriority, Picker Picker, LoadBalancing Policy, OutlierDetection? Outliers);
}
