namespace Mesh.Outbound;

/// <summary>One name that was asked for. Guarded by the lock of <see cref="AskedNames"/>, but for <see cref="MarkUsed"/>.</summary>
internal sealed class AskedName(ListenerKey key)
{
    private bool _used;

    public ListenerKey Key => key;

    /// <summary>What is in force for it; null before the first answer.</summary>
    public OutboundListener? Listener { get; set; }

    /// <summary>Timestamp, as last seen by a sweep or a caller that asked.</summary>
    public long LastUsed { get; set; }

    /// <summary>Callers that wait for the answer.</summary>
    public int Waiting { get; set; }

    /// <summary>It was found and has not been said not to exist since.</summary>
    public bool WasService { get; set; }

    /// <summary>It is being unwatched.</summary>
    public bool IsLeaving { get; set; }

    /// <summary>A caller came while it was being unwatched.</summary>
    public bool IsWantedAgain { get; set; }

    public bool IsUsed => _used;

    public bool DoesNotExist => Listener is { PassesThrough: true };

    /// <summary>It is no service in use: asking again loses nothing.</summary>
    public bool MayBeEvicted => Listener is null or { PassesThrough: true } or { Unavailable: not null };

    /// <summary>A long stream is use too, though no call begins.</summary>
    public bool HasCalls
    {
        get
        {
            foreach (var cluster in Listener?.Clusters ?? [])
            {
                if (cluster.Limit.InFlight > 0)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>A call uses the name. No lock; it writes only once between two sweeps, so that calls on many cores do not fight for the line.</summary>
    public void MarkUsed()
    {
        if (!_used)
        {
            _used = true;
        }
    }

    /// <summary>Whether it was used since the last time this was asked. A mark set in the same instant may be lost: it is a matter of minutes.</summary>
    public bool TakeUsed()
    {
        var used = _used;
        _used = false;
        return used;
    }
}
