using System.Collections.Concurrent;

namespace Mesh.Policy;

/// <summary>Lets each key through at an even pace with a burst (the generic cell rate algorithm, ITU-T I.371 §A). Thread-safe; lock-free for keys that are known.</summary>
/// <remarks>
/// In any window of length w a key gets at most burst + w × rate. The pace is rounded up to whole nanoseconds, so the rate is never more than asked for.
/// A key that owes nothing is forgotten, which changes no answer. Keys beyond <see cref="MaxKeys"/> that all owe something share one bucket until there is room:
/// whoever invents keys competes with others who do, and neither gains memory here nor takes from keys that are known.
/// </remarks>
internal sealed class LocalRateLimiter
{
    /// <summary>Keys remembered at once; about 150 B each and the key itself.</summary>
    public const int MaxKeys = 10_000;

    private const long SecondNanoseconds = 1_000_000_000;

    // 146 years: sums of it and a process' life stay inside a long.
    private const long MostNanoseconds = long.MaxValue / 4;

    private readonly TimeProvider _time;
    private readonly long _started;
    private readonly long _pace;
    private readonly long _ahead;
    private readonly RateLimitBucket _shared = new();
    private readonly ConcurrentDictionary<string, RateLimitBucket> _buckets = new(StringComparer.Ordinal);
    private int _count;
    private long _nextSweep = SecondNanoseconds;

    /// <param name="requests">1 or more, within <paramref name="interval"/>.</param>
    /// <param name="interval">More than zero.</param>
    /// <param name="burst">At once, after a pause; 1 or more.</param>
    public LocalRateLimiter(int requests, TimeSpan interval, int burst, TimeProvider time)
    {
        _time = time;
        _started = time.GetTimestamp();
        _pace = Clamp(((Int128)interval.Ticks * TimeSpan.NanosecondsPerTick + requests - 1) / requests);
        _ahead = Clamp((Int128)_pace * (burst - 1));
    }

    /// <summary>Keys remembered now.</summary>
    public int KeyCount => Volatile.Read(ref _count);

    /// <param name="key">Null: the one bucket that all share.</param>
    /// <param name="retryAfter">When refused: after exactly so long one request of this key is let through, if no other comes first.</param>
    /// <returns>Where it was taken from, for <see cref="GiveBack"/>; null when it is refused.</returns>
    public RateLimitBucket? TryTake(string? key, out TimeSpan retryAfter)
    {
        var now = (long)(_time.GetElapsedTime(_started).Ticks * TimeSpan.NanosecondsPerTick);
        while (true)
        {
            var bucket = key is null ? _shared : Bucket(key, now);
            switch (bucket.TryTake(now, _pace, _ahead, out var wait))
            {
                case BucketAnswer.Taken:
                    retryAfter = TimeSpan.Zero;
                    return bucket;
                case BucketAnswer.Refused:
                    retryAfter = TimeSpan.FromTicks((wait + TimeSpan.NanosecondsPerTick - 1) / TimeSpan.NanosecondsPerTick);
                    return null;
                default:
                    Remove(key!, bucket);
                    break;
            }
        }
    }

    /// <summary>The request was refused by something else: it does not count here.</summary>
    public void GiveBack(RateLimitBucket bucket) => bucket.GiveBack(_pace);

    private RateLimitBucket Bucket(string key, long now)
    {
        if (_buckets.TryGetValue(key, out var known))
        {
            return known;
        }

        ForgetIdle(now);
        if (Interlocked.Increment(ref _count) > MaxKeys)
        {
            Interlocked.Decrement(ref _count);
            return _shared;
        }

        var made = new RateLimitBucket();
        var kept = _buckets.GetOrAdd(key, made);
        if (kept != made)
        {
            Interlocked.Decrement(ref _count);
        }

        return kept;
    }

    /// <summary>At most once a second, by whoever brings a new key: without new keys the table does not grow.</summary>
    private void ForgetIdle(long now)
    {
        var due = Volatile.Read(ref _nextSweep);
        if (now < due || Interlocked.CompareExchange(ref _nextSweep, now + SecondNanoseconds, due) != due)
        {
            return;
        }

        foreach (var (key, bucket) in _buckets)
        {
            if (bucket.TryForget(now))
            {
                Remove(key, bucket);
            }
        }
    }

    /// <summary>Whoever meets a forgotten bucket takes it out: nobody waits for the one who forgot it.</summary>
    private void Remove(string key, RateLimitBucket bucket)
    {
        if (_buckets.TryRemove(new(key, bucket)))
        {
            Interlocked.Decrement(ref _count);
        }
    }

    private static long Clamp(Int128 nanoseconds) => (long)Int128.Min(nanoseconds, MostNanoseconds);
}
