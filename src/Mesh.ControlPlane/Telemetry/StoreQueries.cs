using System.Collections.Concurrent;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Answers from the embedded stores of all replicas: each keeps what its own streams send, and their counts are added.</summary>
internal sealed class StoreQueries(GoldenStore store, BalancerTable balancers, IReplicaPeers peers, TimeProvider time) : IGoldenQueries
{
    private static readonly TimeSpan BalancersFresh = TimeSpan.FromSeconds(2);
    private readonly PeerParts _peers = new(peers, time);
    private readonly ConcurrentDictionary<(string Service, string Namespace), IReadOnlyList<BalancerState>> _others = new();
    private long _othersAsked;
    private int _asking;

    /// <inheritdoc/>
    public async Task<GoldenAnswer<GoldenItem>> ReadAsync(GoldenQuery query, CancellationToken cancellationToken)
    {
        var (plan, parts, missing) = await PartsAsync(query, step: null, cancellationToken);
        return Answer(query, plan, parts, missing, GoldenMerge.Items(query, plan, parts));
    }

    /// <inheritdoc/>
    public async Task<GoldenAnswer<GoldenSeries>> ReadSeriesAsync(GoldenQuery query, TimeSpan step, CancellationToken cancellationToken)
    {
        var (plan, parts, missing) = await PartsAsync(query.IsSinceStart ? query with { From = store.Started } : query, step, cancellationToken);
        return Answer(query, plan, parts, missing, GoldenMerge.Series(query, plan!, parts));
    }

    /// <inheritdoc/>
    public async Task<GoldenAnswer<DecisionCount>> DecisionsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var plan = store.Plan(from, to, step: null);
        var query = new GoldenQuery(GoldenBy.Pair, from, to);
        var (answers, missing) = await _peers.AskAsync((p, options) => p.DecisionsAsync(PartMessages.Of(query, plan), options), cancellationToken);
        List<GoldenPart> parts = [store.About(plan), .. answers.Select(a => PartMessages.Read(a.About ?? new PartsAnswer(), plan.Steps))];
        var all = store.Decisions(plan).Concat(answers.SelectMany(a => a.Decisions).Select(d => new DecisionCount(d.Workload, d.Namespace, d.Side, d.Decision_, d.Reason, d.Service, d.ServiceNamespace, d.Count)));
        var sums = all.GroupBy(d => d with { Count = 0 }).Select(g => g.Key with { Count = g.Sum(d => d.Count) })
            .OrderByDescending(d => d.Count).ThenBy(d => d.Workload, StringComparer.Ordinal).ThenBy(d => d.Decision, StringComparer.Ordinal).ThenBy(d => d.Reason, StringComparer.Ordinal);
        return Answer<DecisionCount>(query, plan, parts, missing, [.. sums]);
    }

    /// <inheritdoc/>
    public IReadOnlyList<BalancerState> Balancers(string service, string @namespace)
    {
        var now = time.GetUtcNow();
        var own = balancers.Of(service, @namespace, now);
        if (!_peers.HasOthers)
        {
            return own;
        }

        AskBalancers();
        // A caller that changed to another replica is known to both for a while.
        return [.. own.Concat(_others.GetValueOrDefault((service, @namespace), []).Where(b => now - b.At <= BalancerTable.Fresh))
            .GroupBy(b => (b.Source, b.SourceNamespace, b.Instance, b.Endpoint)).Select(g => g.MaxBy(b => b.At)!)];
    }

    /// <summary>Begins to ask the others, when that is due: what they say is there at the next question.</summary>
    private void AskBalancers()
    {
        var now = time.GetUtcNow().UtcTicks;
        if (now - Interlocked.Read(ref _othersAsked) < BalancersFresh.Ticks || Interlocked.Exchange(ref _asking, 1) != 0)
        {
            return;
        }

        Interlocked.Exchange(ref _othersAsked, now);
        _ = AskBalancersAsync();
    }

    private async Task AskBalancersAsync()
    {
        try
        {
            var (answers, _) = await _peers.AskAsync((p, options) => p.BalancersAsync(new BalancersQuery(), options), CancellationToken.None);
            var all = answers.SelectMany(a => a.Balancers).GroupBy(b => (b.Service, b.Namespace)).ToDictionary(g => g.Key, g => (IReadOnlyList<BalancerState>)[.. g.Select(BalancerMessages.Read)]);
            foreach (var gone in _others.Keys.Where(k => !all.ContainsKey(k)))
            {
                _others.TryRemove(gone, out _);
            }

            foreach (var (key, states) in all)
            {
                _others[key] = states;
            }
        }
        finally
        {
            Volatile.Write(ref _asking, 0);
        }
    }

    private async Task<(GoldenPlan? Plan, IReadOnlyList<GoldenPart> Parts, IReadOnlyList<MissingReplica> Missing)> PartsAsync(GoldenQuery query, TimeSpan? step, CancellationToken cancellationToken)
    {
        var own = store.Read(query, step, out var plan);
        if (!_peers.HasOthers)
        {
            return (plan, [own], []);
        }

        var message = PartMessages.Of(query, plan);
        var (answers, missing) = await _peers.AskAsync((p, options) => p.ReadAsync(message, options), cancellationToken);
        return (plan, [own, .. answers.Select(a => PartMessages.Read(a, plan?.Steps ?? 1))], missing);
    }

    private GoldenAnswer<T> Answer<T>(GoldenQuery query, GoldenPlan? plan, IReadOnlyList<GoldenPart> parts, IReadOnlyList<MissingReplica> missing, IReadOnlyList<T> items) => new(
        plan?.From ?? store.Started, plan is null || query.To < plan.To ? query.To : plan.To, plan?.Step ?? Slots.Fine,
        parts.Min(p => p.ReachesBackTo), parts[0].Store, missing, [.. parts.SelectMany(p => p.Gaps).OrderBy(g => g.From)], items);
}
