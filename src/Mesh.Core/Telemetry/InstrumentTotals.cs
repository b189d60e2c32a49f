using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>The series of one counter, by their tags. Thread-safe; adding to one that is known takes no lock and allocates nothing.</summary>
internal sealed class InstrumentTotals(Instrument instrument, TimeProvider time)
{
    private const int Buckets = 64;
    private readonly CounterTotal?[] _chains = new CounterTotal?[Buckets];
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private int _count;
    private CounterTotal? _overflow;
    private long _overflowed;

    public string Name => instrument.Name;

    public int Count => Volatile.Read(ref _count);

    /// <summary>How often a series was asked for that did not fit.</summary>
    public long Overflowed => Interlocked.Read(ref _overflowed);

    public IEnumerable<CounterTotal> All
    {
        get
        {
            for (var i = 0; i < Buckets; i++)
            {
                for (var total = Volatile.Read(ref _chains[i]); total is not null; total = total.Next)
                {
                    yield return total;
                }
            }

            if (Volatile.Read(ref _overflow) is { } overflow)
            {
                yield return overflow;
            }
        }
    }

    /// <param name="isTotal">The value is the series' total, not what comes to it.</param>
    public void Add(long value, ReadOnlySpan<KeyValuePair<string, object?>> tags, bool isTotal)
    {
        var hash = TagText.Hash(tags);
        var total = Find(hash, tags) ?? Make(hash, tags);
        if (isTotal)
        {
            total.Set(value);
            return;
        }

        while (!total.Add(value))
        {
            // It expired just now. Who takes what is in it, counts it where it counts.
            value = total.Collect();
            if (value == 0)
            {
                return;
            }

            total = Make(hash, tags);
        }
    }

    /// <summary>The collector looked at a series: it goes when nothing was counted for long.</summary>
    public void Looked(CounterTotal total, bool counted, DateTimeOffset now, TimeSpan idleTimeout)
    {
        if (counted)
        {
            total.LastCounted = now;
            return;
        }

        if (now - total.LastCounted < idleTimeout || instrument.IsObservable || ReferenceEquals(total, _overflow))
        {
            return;
        }

        var tags = new KeyValuePair<string, object?>[total.Tags.Count];
        for (var i = 0; i < tags.Length; i++)
        {
            tags[i] = new(total.Tags[i].Key, total.Tags[i].Value);
        }

        lock (_lock)
        {
            RemoveLocked(total, TagText.Hash(tags));
        }

        if (total.Expire() is > 0 and var late)
        {
            Add(late, tags, isTotal: false);
        }
    }

    private CounterTotal? Find(long hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        for (var total = Volatile.Read(ref _chains[hash & (Buckets - 1)]); total is not null; total = total.Next)
        {
            if (total.Is(hash, tags))
            {
                return total;
            }
        }

        return null;
    }

    private CounterTotal Make(long hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        lock (_lock)
        {
            if (Find(hash, tags) is { } known)
            {
                return known;
            }

            if (_count >= CounterTotals.MaxSeries)
            {
                Interlocked.Increment(ref _overflowed);
                return _overflow ??= new CounterTotal(instrument, [new("otel.metric.overflow", "true")], 0, time.GetUtcNow());
            }

            ref var chain = ref _chains[hash & (Buckets - 1)];
            var made = new CounterTotal(instrument, TagText.Copy(tags), hash, time.GetUtcNow()) { Next = chain };
            Volatile.Write(ref chain, made);
            Volatile.Write(ref _count, _count + 1);
            return made;
        }
    }

    private void RemoveLocked(CounterTotal gone, long hash)
    {
        ref var chain = ref _chains[hash & (Buckets - 1)];
        for (CounterTotal? total = chain, before = null; total is not null; before = total, total = total.Next)
        {
            if (!ReferenceEquals(total, gone))
            {
                continue;
            }

            // Who walks over it now still finds the way on.
            if (before is null)
            {
                Volatile.Write(ref chain, total.Next);
            }
            else
            {
                before.Next = total.Next;
            }

            Volatile.Write(ref _count, _count - 1);
            return;
        }
    }
}
