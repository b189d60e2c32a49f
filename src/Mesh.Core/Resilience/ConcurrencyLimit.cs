namespace Mesh.Resilience;

/// <summary>Counts what is in flight to a cluster and refuses what is too much (circuit breaking, gRFC A32). Thread-safe.</summary>
internal sealed class ConcurrencyLimit
{
    private int _inFlight;
    private int _max = 1024;

    /// <summary>May change while calls are in flight: the count stays.</summary>
    public int Max
    {
        get => Volatile.Read(ref _max);
        set => Volatile.Write(ref _max, value);
    }

    public int InFlight => Volatile.Read(ref _inFlight);

    public bool TryEnter() => TryEnter(int.MaxValue);

    /// <param name="narrower">Of this caller alone; never more than <see cref="Max"/>.</param>
    public bool TryEnter(int narrower)
    {
        if (Interlocked.Increment(ref _inFlight) <= Math.Min(Max, narrower))
        {
            return true;
        }

        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    public void Exit() => Interlocked.Decrement(ref _inFlight);
}
