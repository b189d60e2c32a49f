using System.Numerics;

namespace Mesh.Resilience;

/// <summary>Percentiles of what was measured within the last half or whole minute, right to an eighth. Thread-safe without a lock.</summary>
internal sealed class LatencyPercentile(TimeProvider time)
{
    /// <summary>With fewer samples there is no percentile.</summary>
    public const int MinSamples = 50;

    /// <summary>What is older than two windows is forgotten.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(30);

    // Microseconds: 0–7 one by one, then 8 steps per power of two, up to 2^28 (268 s).
    private const int Steps = 8;
    private const int Buckets = 26 * Steps;
    private readonly int[][] _windows = [new int[Buckets], new int[Buckets]];
    private int _current;
    private long _windowStart = long.MinValue;

    /// <param name="now">Timestamp.</param>
    public void Record(TimeSpan latency, long now)
    {
        Rotate(now);
        Interlocked.Increment(ref _windows[Volatile.Read(ref _current)][BucketOf(latency)]);
    }

    /// <summary>Null as long as there are too few samples.</summary>
    /// <param name="percentile">1–99.</param>
    /// <param name="now">Timestamp.</param>
    public TimeSpan? At(int percentile, long now)
    {
        Rotate(now);
        var (one, other) = (_windows[0], _windows[1]);
        long count = 0;
        for (var i = 0; i < Buckets; i++)
        {
            count += Volatile.Read(ref one[i]) + Volatile.Read(ref other[i]);
        }

        if (count < MinSamples)
        {
            return null;
        }

        var rank = ((count * percentile) + 99) / 100;
        for (var i = 0; i < Buckets; i++)
        {
            rank -= Volatile.Read(ref one[i]) + Volatile.Read(ref other[i]);
            if (rank <= 0)
            {
                return UpperEnd(i);
            }
        }

        return UpperEnd(Buckets - 1);
    }

    private static int BucketOf(TimeSpan latency)
    {
        var micros = (ulong)Math.Max(0, latency.Ticks / TimeSpan.TicksPerMicrosecond);
        if (micros < Steps)
        {
            return (int)micros;
        }

        var octave = BitOperations.Log2(micros);
        return Math.Min(((octave - 2) * Steps) + (int)((micros >> (octave - 3)) & (Steps - 1)), Buckets - 1);
    }

    private static TimeSpan UpperEnd(int bucket)
    {
        var micros = bucket < Steps ? bucket + 1 : (Steps + (bucket % Steps) + 1L) << ((bucket / Steps) - 1);
        return TimeSpan.FromTicks(micros * TimeSpan.TicksPerMicrosecond);
    }

    private void Rotate(long now)
    {
        var start = Volatile.Read(ref _windowStart);
        if (start != long.MinValue && time.GetElapsedTime(start, now) < Window)
        {
            return;
        }

        if (Interlocked.CompareExchange(ref _windowStart, now, start) != start)
        {
            return;
        }

        // A sample that is counted meanwhile may be lost: it is one among many.
        var current = _current;
        if (start == long.MinValue || time.GetElapsedTime(start, now) >= 2 * Window)
        {
            Array.Clear(_windows[current]);
        }

        Array.Clear(_windows[1 - current]);
        Volatile.Write(ref _current, 1 - current);
    }
}
