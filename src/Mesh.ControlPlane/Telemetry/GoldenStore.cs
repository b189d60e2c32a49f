namespace Mesh.ControlPlane.Telemetry;

/// <summary>Golden metrics by caller and called Service: since start, and by 5 s for the last 15 minutes. Bounded. Thread-safe.</summary>
internal sealed class GoldenStore(TimeProvider time)
{
    /// <summary>About 100 kB each when all its slots are busy.</summary>
    public const int MaxPairs = 1_000;

    public const int MaxEndpoints = 10_000;

    /// <summary>Longest time that one report may be about; a claim of more is cut to it.</summary>
    public static readonly TimeSpan LongestTook = Ring<PairCounts>.Slots * Ring<PairCounts>.SlotLength;

    private readonly Lock _lock = new();
    private readonly Dictionary<PairKey, Ring<PairCounts>> _pairs = [];
    private readonly Dictionary<EndpointKey, Ring<Counter>> _endpoints = [];
    private readonly HashSet<Caller> _reporters = [];
    private long _dropped;

    /// <summary>Points that did not fit because too many pairs or endpoints are known.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>This caller reports its calls itself: what others witnessed of them no longer counts. Bounded by the identities that the authority issued.</summary>
    public void AddReporter(Caller caller)
    {
        lock (_lock)
        {
            _reporters.Add(caller);
        }
    }

    /// <summary>Adds to a pair, now.</summary>
    /// <param name="took">How long was counted: after an outage up to minutes come at once, and the rate is over them. A length and no time of day, so that the clocks of workloads do not matter.</param>
    public void Add(PairKey key, PairCounts counts, TimeSpan took = default)
    {
        var now = time.GetUtcNow();
        took = took < LongestTook ? took : LongestTook;
        lock (_lock)
        {
            if (!_pairs.TryGetValue(key, out var ring))
            {
                if (_pairs.Count >= MaxPairs)
                {
                    Interlocked.Increment(ref _dropped);
                    return;
                }

                _pairs[key] = ring = new Ring<PairCounts>();
            }

            counts.Cover(now - took, took);
            ring.Total.Add(counts);
            ring.At(Ring<PairCounts>.SlotOf(now)).Add(counts);
        }
    }

    /// <summary>Adds attempts that arrived at an endpoint, now.</summary>
    public void Add(EndpointKey key, long requests)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (!_endpoints.TryGetValue(key, out var ring))
            {
                if (_endpoints.Count >= MaxEndpoints)
                {
                    Interlocked.Increment(ref _dropped);
                    return;
                }

                _endpoints[key] = ring = new Ring<Counter>();
            }

            ring.Total.Count += requests;
            ring.At(Ring<Counter>.SlotOf(now)).Count += requests;
        }
    }

    /// <param name="window">Null is since start; at most 15 minutes.</param>
    public IReadOnlyList<Pair> Pairs(TimeSpan? window)
    {
        var now = time.GetUtcNow();
        var pairs = new List<Pair>();
        lock (_lock)
        {
            foreach (var (key, ring) in _pairs)
            {
                if (key.Witnessed && _reporters.Contains(new Caller(key.Source, key.SourceNamespace)))
                {
                    continue;
                }

                var counts = ring.Total;
                var over = now - counts.From;
                if (window is { } w)
                {
                    counts = new PairCounts();
                    foreach (var slot in ring.Since(FirstSlot(now, w)))
                    {
                        counts.Add(slot);
                    }

                    // What arrived in the window may have been counted for longer than it.
                    over = w < over ? w : over;
                    over = over > counts.LongestTook ? over : counts.LongestTook;
                }

                if (counts.CallsGood + counts.CallsBad + counts.CallsCancelled + counts.AttemptsGood + counts.AttemptsBad + counts.AttemptsCancelled > 0)
                {
                    pairs.Add(Pair.From(key, counts, over));
                }
            }
        }

        return [.. pairs.OrderBy(p => p.SourceNamespace, StringComparer.Ordinal).ThenBy(p => p.Source, StringComparer.Ordinal)
            .ThenBy(p => p.DestinationNamespace, StringComparer.Ordinal).ThenBy(p => p.Destination, StringComparer.Ordinal)];
    }

    /// <inheritdoc cref="Pairs"/>
    public IReadOnlyList<EndpointRequests> Endpoints(TimeSpan? window)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            return [.. _endpoints
                .Where(e => e.Key.WitnessedFrom is not { } caller || !_reporters.Contains(caller))
                .GroupBy(e => e.Key with { WitnessedFrom = null }, e => window is { } w ? e.Value.Since(FirstSlot(now, w)).Sum(c => c.Count) : e.Value.Total.Count)
                .Select(e => new EndpointRequests(e.Key.Service, e.Key.Namespace, e.Key.Address, e.Sum()))
                .Where(e => e.Requests > 0)
                .OrderBy(e => e.Namespace, StringComparer.Ordinal).ThenBy(e => e.Service, StringComparer.Ordinal).ThenBy(e => e.Address, StringComparer.Ordinal)];
        }
    }

    private static long FirstSlot(DateTimeOffset now, TimeSpan window) =>
        Ring<PairCounts>.SlotOf(now) - Math.Clamp((long)Math.Ceiling(window / Ring<PairCounts>.SlotLength), 1, Ring<PairCounts>.Slots);

    private sealed class Counter
    {
        public long Count { get; set; }
    }
}
