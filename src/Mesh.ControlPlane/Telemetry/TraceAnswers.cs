using Mesh.ControlPlane.Model;
using Mesh.Protos.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Traces of the whole mesh, whichever replicas their spans came to. Thread-safe.</summary>
/// <remarks>A trace whose services hold their streams to different replicas lies in parts: whether it matches is judged when the parts are together.</remarks>
internal sealed class TraceAnswers(TraceStore store, IReplicaPeers peers, TimeProvider time)
{
    private readonly PeerParts _peers = new(peers, time);

    /// <summary>Newest first.</summary>
    public async Task<TraceList> ListAsync(TraceQuery query, CancellationToken cancellationToken)
    {
        if (!_peers.HasOthers)
        {
            return new TraceList(store.ReachesBackTo, "memory", [], store.List(query));
        }

        var question = TraceMessages.Of(query);
        var (answers, missing) = await _peers.AskAsync((c, o) => c.TracesAsync(question, o), cancellationToken);
        var chosen = query.Choose(store.Known(query).Concat(answers.SelectMany(a => a.Traces).Select(TraceMessages.Read)));
        var items = new List<TraceSummary>(chosen.Count);
        foreach (var some in chosen.Select(t => t.Id).Chunk(TraceMessages.MaxIds))
        {
            (var traces, missing) = await GatherAsync(some, whole: false, missing, cancellationToken);
            items.AddRange(some.Where(traces.ContainsKey).Select(id => TraceSummary.Of(traces[id])));
        }

        var backs = answers.Where(a => a.HasReachesBackToMs).Select(a => (DateTimeOffset?)PartMessages.Time(a.ReachesBackToMs)).Append(store.ReachesBackTo);
        return new TraceList(backs.Min(), "memory", missing, items);
    }

    /// <returns>Its spans in the order in which they began; none: nobody who answered knows it.</returns>
    public async Task<(IReadOnlyList<StoredSpan> Spans, IReadOnlyList<MissingReplica> Partial)> FindAsync(string traceId, CancellationToken cancellationToken)
    {
        if (!_peers.HasOthers)
        {
            return (store.Find(traceId) ?? [], []);
        }

        var (traces, missing) = await GatherAsync([traceId], whole: true, [], cancellationToken);
        return (traces.TryGetValue(traceId, out var trace) ? trace.InOrder : [], missing);
    }

    private async Task<(Dictionary<string, Trace> Traces, IReadOnlyList<MissingReplica> Missing)> GatherAsync(
        string[] ids, bool whole, IReadOnlyList<MissingReplica> missing, CancellationToken cancellationToken)
    {
        var question = new SpansQuery { Whole = whole };
        question.TraceIds.AddRange(ids);
        var (answers, alsoMissing) = await _peers.AskAsync((c, o) => c.SpansAsync(question, o), cancellationToken, missing);
        var traces = new Dictionary<string, Trace>(StringComparer.Ordinal);
        foreach (var span in ids.SelectMany(id => store.Find(id) ?? []).Concat(answers.SelectMany(a => a.Spans).Select(TraceMessages.Read).OfType<StoredSpan>()))
        {
            if (!traces.TryGetValue(span.TraceId, out var trace))
            {
                traces[span.TraceId] = trace = new Trace(span.TraceId);
            }

            trace.Add(span);
        }

        return (traces, [.. missing, .. alsoMissing]);
    }
}

/// <param name="ReachesBackTo">When the oldest trace that is kept began; null when there is none.</param>
/// <param name="Partial">Replicas whose part is missing, and why.</param>
/// <param name="Items">Newest first.</param>
internal sealed record TraceList(DateTimeOffset? ReachesBackTo, string Store, IReadOnlyList<MissingReplica> Partial, IReadOnlyList<TraceSummary> Items);
