namespace Mesh.Policy;

/// <summary>What one key has used of its rate limit: one word, the moment up to which its requests are paid for (GCRA's theoretical arrival time). Thread-safe, lock-free.</summary>
/// <remarks>Times are nanoseconds since the limiter was made.</remarks>
internal sealed class RateLimitBucket
{
    private const long Forgotten = long.MinValue;

    private long _paidUntil;

    /// <param name="now">Nanoseconds.</param>
    /// <param name="pace">Nanoseconds that one request takes.</param>
    /// <param name="ahead">How far ahead of now it may be paid for already.</param>
    /// <param name="wait">When refused: nanoseconds until the next one is let through.</param>
    public BucketAnswer TryTake(long now, long pace, long ahead, out long wait)
    {
        while (true)
        {
            var paidUntil = Volatile.Read(ref _paidUntil);
            wait = 0;
            if (paidUntil == Forgotten)
            {
                return BucketAnswer.Forgotten;
            }

            if (paidUntil - now > ahead)
            {
                wait = paidUntil - now - ahead;
                return BucketAnswer.Refused;
            }

            if (Interlocked.CompareExchange(ref _paidUntil, Math.Max(paidUntil, now) + pace, paidUntil) == paidUntil)
            {
                return BucketAnswer.Taken;
            }
        }
    }

    /// <summary>Undoes one <see cref="TryTake"/>: the request was refused by something else.</summary>
    public void GiveBack(long pace)
    {
        while (true)
        {
            var paidUntil = Volatile.Read(ref _paidUntil);
            if (paidUntil == Forgotten || Interlocked.CompareExchange(ref _paidUntil, paidUntil - pace, paidUntil) == paidUntil)
            {
                return;
            }
        }
    }

    /// <summary>True when nothing is owed, so that a new bucket in its place answers the same; nothing can be taken from this one any more.</summary>
    public bool TryForget(long now)
    {
        var paidUntil = Volatile.Read(ref _paidUntil);
        return paidUntil == Forgotten || (paidUntil <= now && Interlocked.CompareExchange(ref _paidUntil, Forgotten, paidUntil) == paidUntil);
    }
}

/// <summary>What became of a request at its bucket.</summary>
internal enum BucketAnswer
{
    Taken,
    Refused,

    /// <summary>The bucket is out of use: look for the new one.</summary>
    Forgotten,
}
