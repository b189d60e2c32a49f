namespace Mesh.Resilience;

/// <summary>How many connections a cluster has, and how many of its calls wait for one: refuses what is too much (Envoy's max_connections and max_pending_requests). Thread-safe.</summary>
internal sealed class ConnectionLimits
{
    private int _open;
    private int _waiting;
    private int _maxOpen = int.MaxValue;
    private int _maxWaiting = int.MaxValue;

    /// <summary>May change while connections are open: the count stays.</summary>
    public int MaxOpen
    {
        get => Volatile.Read(ref _maxOpen);
        set => Volatile.Write(ref _maxOpen, value);
    }

    /// <inheritdoc cref="MaxOpen"/>
    public int MaxWaiting
    {
        get => Volatile.Read(ref _maxWaiting);
        set => Volatile.Write(ref _maxWaiting, value);
    }

    /// <summary>Connections that are open or being made.</summary>
    public int Open => Volatile.Read(ref _open);

    public int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Waiting calls are counted only where there is a limit.</summary>
    public bool CountsWaiting => MaxWaiting != int.MaxValue;

    /// <param name="evenBeyond">The endpoint has no connection: it gets one whatever the others hold, else their idle ones could shut it out (Envoy).</param>
    public bool TryOpen(bool evenBeyond)
    {
        if (Interlocked.Increment(ref _open) <= MaxOpen || evenBeyond)
        {
            return true;
        }

        Interlocked.Decrement(ref _open);
        return false;
    }

    public void Closed() => Interlocked.Decrement(ref _open);

    public bool TryWait()
    {
        if (Interlocked.Increment(ref _waiting) <= MaxWaiting)
        {
            return true;
        }

        Interlocked.Decrement(ref _waiting);
        return false;
    }

    public void StopWaiting(int calls) => Interlocked.Add(ref _waiting, -calls);
}
