namespace Mesh.ControlPlane.Telemetry;

/// <summary>What is known of one trace: its spans from every workload, in no order. Owned by the store's lock.</summary>
internal sealed class Trace(string id)
{
    /// <summary>Spans of one trace that are kept.</summary>
    public const int MaxSpans = 1000;

    /// <summary>From here on a trace is slow.</summary>
    public static readonly TimeSpan Slow = TimeSpan.FromMilliseconds(500);

    private readonly Dictionary<(string Span, string Kind), StoredSpan> _spans = [];

    public string Id => id;

    public int Bytes { get; private set; } = 400;

    public IReadOnlyCollection<StoredSpan> Spans => _spans.Values;

    /// <summary>In the order in which they began.</summary>
    public IReadOnlyList<StoredSpan> InOrder => [.. _spans.Values.OrderBy(s => s.Start).ThenByDescending(s => s.Duration)];

    /// <summary>How long it is worth keeping.</summary>
    public TraceRank Rank => Failed ? TraceRank.Failed : Duration >= Slow ? TraceRank.Slow : TraceRank.Ordinary;

    public bool Failed { get; private set; }

    /// <summary>The span that all others are below, as far as they are known.</summary>
    public StoredSpan Root { get; private set; } = null!;

    public TimeSpan Duration => Root.Duration;

    /// <returns>False when it holds as many as it may. A span that came before takes the place of what it was.</returns>
    public bool Add(StoredSpan span)
    {
        // A client that shares its span with the server (B3's way) gives two of one id.
        var key = (span.SpanId, span.Kind);
        if (_spans.TryGetValue(key, out var before))
        {
            Bytes -= before.Bytes;
        }
        else if (_spans.Count == MaxSpans)
        {
            return false;
        }

        _spans[key] = span;
        Bytes += span.Bytes;
        Failed |= span.FailsTrace;
        if (Root is null || ReferenceEquals(before, Root) || IsAbove(span, Root))
        {
            Root = span;
        }

        return true;
    }

    /// <summary>One without a parent goes before one whose parent nobody sent; of equals the earlier.</summary>
    public static bool IsAbove(bool hasParent, DateTimeOffset start, bool otherHasParent, DateTimeOffset otherStart) => hasParent != otherHasParent ? !hasParent : start < otherStart;

    private static bool IsAbove(StoredSpan one, StoredSpan other) => IsAbove(one.ParentId is not null, one.Start, other.ParentId is not null, other.Start);
}

/// <summary>What is dropped last.</summary>
internal enum TraceRank
{
    Ordinary,
    Slow,
    Failed,
}
