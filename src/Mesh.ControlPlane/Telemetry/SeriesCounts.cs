namespace Mesh.ControlPlane.Telemetry;

/// <summary>What one series counted in some time. Not thread-safe.</summary>
internal sealed class SeriesCounts
{
    public long Good { get; set; }

    public long Bad { get; set; }

    /// <summary>Given up by their callers: they count, but neither as good nor as bad.</summary>
    public long Cancelled { get; set; }

    /// <summary>Over mesh TLS.</summary>
    public long Tls { get; set; }

    public BucketCounts Durations { get; } = new();

    public long Total => Good + Bad + Cancelled;

    public void Add(SeriesCounts other)
    {
        Good += other.Good;
        Bad += other.Bad;
        Cancelled += other.Cancelled;
        Tls += other.Tls;
        Durations.Add(other.Durations);
    }

    /// <summary>Adds a share of a report.</summary>
    public void Add(Measure measure, long count, BucketCounts? durations)
    {
        Add(measure.Outcome, measure.Tls, count);
        if (durations is not null)
        {
            Durations.Add(durations);
        }
    }

    public void Add(CallOutcome outcome, bool tls, long count)
    {
        switch (outcome)
        {
            case CallOutcome.Good: Good += count; break;
            case CallOutcome.Cancelled: Cancelled += count; break;
            default: Bad += count; break;
        }

        Tls += tls ? count : 0;
    }
}

/// <summary>How the calls of one point ended.</summary>
internal enum CallOutcome
{
    Good,
    Bad,
    Cancelled,
}

/// <summary>What one report says of one series.</summary>
/// <param name="Durations">Null: a bare count.</param>
internal sealed record Measure(CallOutcome Outcome, bool Tls, long Count, BucketCounts? Durations = null)
{
    public static Measure Of(BucketCounts durations, CallOutcome outcome = CallOutcome.Good, bool tls = false) => new(outcome, tls, durations.Total, durations);
}
