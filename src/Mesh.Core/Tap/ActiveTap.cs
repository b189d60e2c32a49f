namespace Mesh.Tap;

/// <summary>One tap that runs in this process: its filter, how many it may send, and what became of what it saw. Thread-safe, without locks.</summary>
internal sealed class ActiveTap(TapSettings settings, long frequency)
{
    private volatile TapSettings _settings = settings;
    private long _seen;
    private long _sent;
    private long _dropped;

    // GCRA: when the next one would be due if they came evenly.
    private long _due;

    public TapSettings Settings => _settings;

    /// <summary>What its filter let through.</summary>
    public long Seen => Interlocked.Read(ref _seen);

    public long Sent => Interlocked.Read(ref _sent);

    /// <summary>Seen, and too many.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    /// <summary>Goes on with other settings; what was counted stays.</summary>
    public void Change(TapSettings next) => _settings = next;

    /// <summary>The exchange is wanted, and one more may be sent now.</summary>
    /// <param name="now">Timestamp.</param>
    /// <param name="wasOpen">It was shown while it went on: then its end is shown in any case, and counts as one.</param>
    public bool Wants(in TapFacts facts, long now, bool wasOpen = false)
    {
        var settings = _settings;
        if (!wasOpen && !settings.Takes(facts))
        {
            return false;
        }

        Interlocked.Increment(ref _seen);
        if (TryTake(settings.MaxPerSecond, now) || wasOpen)
        {
            return true;
        }

        Drop();
        return false;
    }

    public void CountSent() => Interlocked.Increment(ref _sent);

    public void Drop() => Interlocked.Increment(ref _dropped);

    private bool TryTake(double perSecond, long now)
    {
        var each = (long)(frequency / perSecond);
        // A second's worth may come at once, and at least one.
        var ahead = Math.Max(0, frequency - each);
        while (true)
        {
            var due = Volatile.Read(ref _due);
            if (due - now > ahead)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _due, Math.Max(due, now) + each, due) == due)
            {
                return true;
            }
        }
    }
}
