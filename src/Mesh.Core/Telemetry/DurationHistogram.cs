namespace Mesh.Telemetry;

/// <summary>Counts durations in exponential buckets of 2^(1/16) (OpenTelemetry scale 4: each bucket is 4.4 % wide), 1 µs to about 1,100 s.</summary>
/// <remarks>Thread-safe without a lock: shards of counters, picked by processor. Recording allocates nothing.</remarks>
internal sealed class DurationHistogram
{
    /// <summary>OpenTelemetry exponential histogram scale.</summary>
    public const int Scale = 4;

    /// <summary>Index of the first bucket: it holds all up to 2^((FirstIndex+1)/16) s, about 1 µs.</summary>
    public const int FirstIndex = -320;

    private const int Buckets = 484;
    private static readonly int ShardMask = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Min(Environment.ProcessorCount, 8)) - 1;
    private readonly Shard[] _shards;

    public DurationHistogram()
    {
        _shards = new Shard[ShardMask + 1];
        for (var i = 0; i < _shards.Length; i++)
        {
            _shards[i] = new Shard();
        }
    }

    public void Record(TimeSpan duration)
    {
        var shard = _shards[Thread.GetCurrentProcessorId() & ShardMask];
        Interlocked.Increment(ref shard.Counts[Index(duration.TotalSeconds)]);
        Interlocked.Add(ref shard.SumTicks, duration.Ticks);
    }

    /// <summary>Takes what was recorded since the last call; null when nothing was.</summary>
    public DurationDelta? Collect()
    {
        long[]? counts = null;
        long sum = 0;
        foreach (var shard in _shards)
        {
            sum += Interlocked.Exchange(ref shard.SumTicks, 0);
            for (var i = 0; i < Buckets; i++)
            {
                if (Volatile.Read(ref shard.Counts[i]) != 0)
                {
                    (counts ??= new long[Buckets])[i] += Interlocked.Exchange(ref shard.Counts[i], 0);
                }
            }
        }

        return counts is null ? null : new DurationDelta(TimeSpan.FromTicks(sum), counts);
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
