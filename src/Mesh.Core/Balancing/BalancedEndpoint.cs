using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>An endpoint with what is known of it from calls. Survives updates of its cluster. Thread-safe.</summary>
/// <remarks>Outbound derives from it what it hangs onto an endpoint: its connections and its series.</remarks>
internal class BalancedEndpoint(Endpoint config, PeakEwma latency)
{
    private int _inFlight;
    private int _failuresInRow;
    private long _ejectedUntil = long.MinValue;

    /// <summary>As the latest update says: weight and health may change, address and identity never.</summary>
    public Endpoint Config { get; internal set; } = config;

    public PeakEwma Latency { get; } = latency;

    /// <summary>Attempts whose response has not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>For the outlier detector's sweep.</summary>
    internal EndpointCalls Calls { get; } = new();

    /// <summary>How often it was ejected lately; owned by the outlier detector.</summary>
    internal int Ejections { get; set; }

    /// <summary>Timestamp up to which it sits out.</summary>
    internal long EjectedUntil
    {
        get => Volatile.Read(ref _ejectedUntil);
        set => Volatile.Write(ref _ejectedUntil, value);
    }

    public bool IsEjected(long now) => EjectedUntil > now;

    public void AttemptStarted() => Interlocked.Increment(ref _inFlight);

    public void AttemptEnded() => Interlocked.Decrement(ref _inFlight);

    internal int CountFailure() => Interlocked.Increment(ref _failuresInRow);

    internal void ClearFailures()
    {
        if (Volatile.Read(ref _failuresInRow) != 0)
        {
            Volatile.Write(ref _failuresInRow, 0);
        }
    }
}
