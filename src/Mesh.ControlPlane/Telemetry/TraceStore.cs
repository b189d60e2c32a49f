namespace Mesh.ControlPlane.Telemetry;

/// <summary>Traces of the whole mesh in memory, put together by their ids. Thread-safe.</summary>
/// <remarks>
/// Bounded in bytes. When it is full the oldest goes first, but failed traces keep half of the room and slow ones a quarter: a flood of good calls never pushes out what somebody will look for,
/// and an outage leaves some of what is normal to compare with.
/// </remarks>
/// <param name="maxBytes">About what it may take.</param>
internal sealed class TraceStore(long maxBytes = TraceStore.DefaultMaxBytes)
{
    public const long DefaultMaxBytes = 64 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<Trace>> _byId = new(StringComparer.Ordinal);

    // Oldest first, by rank.
    private readonly LinkedList<Trace>[] _ranked = [new(), new(), new()];
    private readonly long[] _bytes = new long[3];
    private long _spansDropped;
    private long _spansTaken;

    /// <summary>Spans taken, and those of them that did not fit into their trace.</summary>
    public (long Taken, long Dropped, long Bytes, int Traces) Counts
    {
        get
        {
            lock (_lock)
            {
                return (_spansTaken, _spansDropped, _bytes.Sum(), _byId.Count);
            }
        }
    }

    /// <summary>When the oldest trace that is kept began; null when there is none.</summary>
    public DateTimeOffset? ReachesBackTo
    {
        get
        {
            lock (_lock)
            {
                return _byId.Count == 0 ? null : _ranked.Where(r => r.First is not null).Min(r => r.First!.Value.Root.Start);
            }
        }
    }

    public void Add(IEnumerable<StoredSpan> spans)
    {
        lock (_lock)
        {
            foreach (var span in spans)
            {
                AddLocked(span);
            }

            while (_bytes.Sum() > maxBytes && _byId.Count > 0)
            {
                DropOneLocked();
            }
        }
    }

    /// <summary>Spans in the order in which they began; null when the trace is not known, or no longer.</summary>
    public IReadOnlyList<StoredSpan>? Find(string traceId)
    {
        lock (_lock)
        {
            return _byId.TryGetValue(traceId, out var node) ? node.Value.InOrder : null;
        }
    }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<TraceSummary> List(TraceQuery query)
    {
        lock (_lock)
        {
            return [.. query.Choose(_byId.Values.Select(n => KnownTrace.Of(n.Value, query))).Select(t => TraceSummary.Of(_byId[t.Id].Value))];
        }
    }

    /// <summary>All of them, to be joined with what other replicas know.</summary>
    public IReadOnlyList<KnownTrace> Known(TraceQuery query)
    {
        lock (_lock)
        {
            return [.. _byId.Values.Select(n => KnownTrace.Of(n.Value, query))];
        }
    }

    private void AddLocked(StoredSpan span)
    {
        _spansTaken++;
        if (!_byId.TryGetValue(span.TraceId, out var node))
        {
            var made = new Trace(span.TraceId);
            made.Add(span);
            _byId[span.TraceId] = _ranked[(int)made.Rank].AddLast(made);
            _bytes[(int)made.Rank] += made.Bytes;
            return;
        }

        var trace = node.Value;
        var (rank, bytes) = (trace.Rank, trace.Bytes);
        if (!trace.Add(span))
        {
            _spansDropped++;
            return;
        }

        _bytes[(int)rank] -= bytes;
        _bytes[(int)trace.Rank] += trace.Bytes;
        if (trace.Rank != rank)
        {
            _ranked[(int)rank].Remove(node);
            _ranked[(int)trace.Rank].AddLast(node);
        }
    }

    private void DropOneLocked()
    {
        var rank = _bytes[(int)TraceRank.Failed] > maxBytes / 2 ? TraceRank.Failed
            : _bytes[(int)TraceRank.Slow] > maxBytes / 4 ? TraceRank.Slow
            : TraceRank.Ordinary;
        var oldest = (_ranked[(int)rank].First ?? _ranked.First(r => r.First is not null).First)!.Value;
        _ranked[(int)oldest.Rank].RemoveFirst();
        _bytes[(int)oldest.Rank] -= oldest.Bytes;
        _byId.Remove(oldest.Id);
    }
}
