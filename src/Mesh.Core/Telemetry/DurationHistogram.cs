namespace Mesh.Telemetry;

/// <summary>Counts durations in exponential buckets of 2^(1/16) (OpenTelemetry scale 4: each bucket is 4.4 % wide), 1 µs to about 1,100 s.</summary>
/// <remarks>
/// Thread-safe; recording takes no lock (shards of counters, picked by processor) and allocates nothing. Two read it: one takes deltas, the other sees totals since the start.
/// </remarks>
internal sealed class DurationHistogram
{
    /// <summary>Upper bounds of the totals' buckets, s: 2⁻¹⁰ to 2⁶. Powers of two are bounds of the exponential buckets as well, so that no count is guessed.</summary>
    public static readonly IReadOnlyList<double> TotalBounds = [.. Enumerable.Range(FirstPower, LastPower - FirstPower + 1).Select(p => Math.Pow(2, p))];

    /// <summary>OpenTelemetry exponential histogram scale.</summary>
    public const int Scale = 4;

    /// <summary>Index of the first bucket: it holds all up to 2^((FirstIndex+1)/16) s, about 1 µs.</summary>
    public const int FirstIndex = -320;

    private const int Buckets = 484;
    private const int FirstPower = -10;
    private const int LastPower = 6;
    private static readonly int ShardMask = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Min(Environment.ProcessorCount, 8)) - 1;

    // Made by the first recording on their processors: an idle series takes a tenth of a busy one.
    private readonly Shard?[] _shards = new Shard?[ShardMask + 1];
    private readonly Lock _lock = new();

    // What was collected, by the totals' buckets: a fortieth of the memory that all of them would take. Guarded by _lock.
    private readonly long[] _collected = new long[LastPower - FirstPower + 2];
    private long _collectedTicks;

    /// <summary>The latest sampled span.</summary>
    public ExemplarSlot Exemplar { get; } = new();

    public void Record(TimeSpan duration)
    {
        var at = Thread.GetCurrentProcessorId() & ShardMask;
        var shard = Volatile.Read(ref _shards[at]) ?? Make(at);
        Interlocked.Add(ref shard.SumTicks, duration.Ticks);
        // Last: whoever takes the count takes its duration too.
        Interlocked.Increment(ref shard.Counts[Index(duration.TotalSeconds)]);
    }

    /// <summary>Adds what was recorded elsewhere.</summary>
    public void Add(DurationDelta delta)
    {
        var shard = Volatile.Read(ref _shards[0]) ?? Make(0);
        Interlocked.Add(ref shard.SumTicks, delta.Sum.Ticks);
        for (var i = 0; i < Buckets; i++)
        {
            if (delta.Counts[i] != 0)
            {
                Interlocked.Add(ref shard.Counts[i], delta.Counts[i]);
            }
        }
    }

    /// <summary>Takes what was recorded since the last call; null when nothing was. Totals keep it.</summary>
    public DurationDelta? Collect()
    {
        long[]? counts = null;
        long sum = 0;
        lock (_lock)
        {
            foreach (var maybe in _shards)
            {
                if (maybe is not { } shard)
                {
                    continue;
                }

                var any = false;
                for (var i = 0; i < Buckets; i++)
                {
                    if (Volatile.Read(ref shard.Counts[i]) != 0)
                    {
                        var count = Interlocked.Exchange(ref shard.Counts[i], 0);
                        (counts ??= new long[Buckets])[i] += count;
                        _collected[TotalIndex(i)] += count;
                        any = true;
                    }
                }

                // After the counts; a duration whose count is not there yet waits for it.
                sum += any ? Interlocked.Exchange(ref shard.SumTicks, 0) : 0;
            }

            _collectedTicks += sum;
        }

        return counts is null ? null : new DurationDelta(TimeSpan.FromTicks(sum), counts);
    }

    /// <summary>All that was ever recorded. It takes nothing away.</summary>
    public DurationTotals Totals()
    {
        lock (_lock)
        {
            var counts = (long[])_collected.Clone();
            var sum = _collectedTicks;
            foreach (var maybe in _shards)
            {
                if (maybe is not { } shard)
                {
                    continue;
                }

                sum += Interlocked.Read(ref shard.SumTicks);
                for (var i = 0; i < Buckets; i++)
                {
                    counts[TotalIndex(i)] += Volatile.Read(ref shard.Counts[i]);
                }
            }

            return new DurationTotals(TimeSpan.FromTicks(sum), counts);
        }
    }

    private Shard Make(int at)
    {
        var made = new Shard();
        return Interlocked.CompareExchange(ref _shards[at], made, null) ?? made;
    }

    /// <summary>The totals' bucket that holds exponential bucket <paramref name="i"/> whole.</summary>
    private static int TotalIndex(int i)
    {
        // The power of two at or above 2^((i + 1 + FirstIndex)/16).
        var power = (i + FirstIndex + (1 << Scale)) >> Scale;
        return Math.Clamp(power - FirstPower, 0, LastPower - FirstPower + 1);
    }

    private static int Index(double seconds)
    {
        // Bucket i holds (2^(i/16), 2^((i+1)/16)].
        var index = seconds <= 0 ? 0 : (int)Math.Ceiling(Math.Log2(seconds) * (1 << Scale)) - 1 - FirstIndex;
        return Math.Clamp(index, 0, Buckets - 1);
    }

    private sealed class Shard
    {
        public readonly long[] Counts = new long[Buckets];
        public long SumTicks;
    }
}

/// <summary>What one histogram counted in one interval.</summary>
/// <param name="Sum">All durations together.</param>
/// <param name="Counts">By bucket, from <see cref="DurationHistogram.FirstIndex"/> on.</param>
internal sealed record DurationDelta(TimeSpan Sum, IReadOnlyList<long> Counts);

/// <summary>What one histogram counted since the start.</summary>
/// <param name="Sum">All durations together.</param>
/// <param name="Counts">By bucket of <see cref="DurationHistogram.TotalBounds"/>, each without the ones below it; the last one is beyond all bounds.</param>
internal sealed record DurationTotals(TimeSpan Sum, IReadOnlyList<long> Counts);
