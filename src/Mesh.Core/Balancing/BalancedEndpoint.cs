using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>An endpoint with what is known of it from calls. Survives updates of its cluster. Thread-safe.</summary>
/// <remarks>Outbound derives from it what it hangs onto an endpoint: its connections and its series.</remarks>
internal class BalancedEndpoint(Endpoint config, PeakEwma latency)
{
    private readonly LoadWeight _load = new();
    private int _inFlight;
    private int _failuresInRow;
    private long _ejectedUntil = long.MinValue;
    private long _steeredUntil = long.MinValue;
    private bool _probeFailing;
    private bool _isAway;
    private bool _isOut;
    private long _usableSince = long.MinValue;

    /// <summary>As the latest update says: weight and health may change, address and identity never.</summary>
    public Endpoint Config { get; internal set; } = config;

    public PeakEwma Latency { get; } = latency;

    /// <summary>Attempts whose response has not ended.</summary>
    public int InFlight => Volatile.Read(ref _inFlight);

    /// <summary>The active health check says that it must not be used. Written by the checker.</summary>
    public bool ProbeFailing
    {
        get => Volatile.Read(ref _probeFailing);
        set
        {
            if (Volatile.Read(ref _probeFailing) != value)
            {
                Volatile.Write(ref _probeFailing, value);
                Changes?.Mark();
            }
        }
    }

    /// <summary>Timestamp of when it came (back) into use: its slow start begins there. Owned by the balancer.</summary>
    public long UsableSince => Volatile.Read(ref _usableSince);

    /// <summary>Told when it may have become usable or unusable; null until a balancer has it.</summary>
    internal UsabilityChanges? Changes { get; set; }

    /// <summary>For the outlier detector's sweep.</summary>
    internal EndpointCalls Calls { get; } = new();

    /// <summary>How often it was ejected lately; owned by the outlier detector.</summary>
    internal int Ejections { get; set; }

    /// <summary>Timestamp up to which it sits out; one in the past brings it back.</summary>
    internal long EjectedUntil
    {
        get => Volatile.Read(ref _ejectedUntil);
        set
        {
            Volatile.Write(ref _ejectedUntil, value);
            Changes?.Mark();
        }
    }

    /// <summary>Why it sits, or last sat, out: a word of <see cref="Ejection"/>.</summary>
    internal string? EjectedFor { get; set; }

    /// <summary>Timestamp up to which it asked to be left alone.</summary>
    internal long SteeredUntil => Volatile.Read(ref _steeredUntil);

    public bool IsEjected(long now) => EjectedUntil > now;

    /// <summary>It is overloaded and said so.</summary>
    public bool IsSteeredAway(long now) => SteeredUntil > now;

    /// <summary>Neither ejected nor failing its probes. One that is steered away is healthy, just busy.</summary>
    public bool IsHealthy(long now) => !IsEjected(now) && !ProbeFailing;

    /// <summary>Calls should go to it now: not ejected, not steered away, and its probes (if any) are good.</summary>
    public bool IsUsable(long now) => IsHealthy(now) && !IsSteeredAway(now);

    /// <summary>It asked for less (429, RESOURCE_EXHAUSTED): left out until then as long as there is a usable one. A shorter time than before does not count.</summary>
    /// <param name="until">Timestamp.</param>
    public void SteerAway(long until)
    {
        var seen = Volatile.Read(ref _steeredUntil);
        while (until > seen)
        {
            var found = Interlocked.CompareExchange(ref _steeredUntil, until, seen);
            if (found == seen)
            {
                // One that is out already stays out: whoever looks when its time is over finds the longer one.
                if (!Volatile.Read(ref _isOut))
                {
                    Changes?.Mark();
                }

                return;
            }

            seen = found;
        }
    }

    /// <summary>The endpoint said how busy it is.</summary>
    /// <param name="now">Timestamp.</param>
    public void ReportLoad(in LoadReport report, WeightedRoundRobin settings, long now) => _load.Report(report, settings.ErrorPenalty, now);

    /// <summary>What its load reports make it worth; 0 is unknown (gRFC A58).</summary>
    /// <param name="now">Timestamp.</param>
    public double LoadWeight(WeightedRoundRobin settings, TimeProvider time, long now) => _load.At(settings, time, now, out _);

    /// <inheritdoc cref="LoadWeight(WeightedRoundRobin, TimeProvider, long)"/>
    /// <param name="isStale">There was one, and its last report is too old.</param>
    public double LoadWeight(WeightedRoundRobin settings, TimeProvider time, long now, out bool isStale) => _load.At(settings, time, now, out isStale);

    /// <summary>As the balancer last looked: a view is made of one look, whatever happens meanwhile. Owned by the balancer.</summary>
    internal bool SeenHealthy { get; private set; }

    /// <summary>See <see cref="SeenHealthy"/>.</summary>
    internal bool SeenSteeredAway { get; private set; }

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

    /// <summary>The balancer looks at it: coming back from more than a short rest begins a slow start. One caller at a time.</summary>
    /// <returns>True when it is usable.</returns>
    internal bool Observe(long now)
    {
        (SeenHealthy, SeenSteeredAway) = (IsHealthy(now), IsSteeredAway(now));
        var usable = SeenHealthy && !SeenSteeredAway;
        var away = !Config.Healthy || !SeenHealthy;
        if (!away && (_isAway || _usableSince == long.MinValue))
        {
            Volatile.Write(ref _usableSince, now);
            _load.StartAgain();
        }

        _isAway = away;
        Volatile.Write(ref _isOut, !usable);
        return usable;
    }
}

/// <summary>Counts how often an endpoint of one cluster may have become usable or unusable. Thread-safe.</summary>
internal sealed class UsabilityChanges
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public void Mark() => Interlocked.Increment(ref _count);
}
