namespace Mesh.ControlPlane.Telemetry;

/// <summary>What was counted between one caller and one called Service. Not thread-safe: owned by the store's lock.</summary>
internal sealed class PairCounts
{
    public long CallsGood { get; set; }

    public long CallsBad { get; set; }

    /// <summary>Given up by their callers: calls, but neither good nor bad.</summary>
    public long CallsCancelled { get; set; }

    public long AttemptsGood { get; set; }

    public long AttemptsBad { get; set; }

    public long AttemptsCancelled { get; set; }

    /// <summary>Attempts over mesh TLS.</summary>
    public long AttemptsTls { get; set; }

    /// <summary>Durations of calls, retries included.</summary>
    public BucketCounts Durations { get; } = new();

    /// <summary>Since when this was counted; the end of time while nothing is.</summary>
    public DateTimeOffset From { get; private set; } = DateTimeOffset.MaxValue;

    /// <summary>The longest time that one report in it is about.</summary>
    public TimeSpan LongestTook { get; private set; }

    /// <summary>Widens the time that this is about by a report that began then and took so long.</summary>
    public void Cover(DateTimeOffset from, TimeSpan took)
    {
        From = from < From ? from : From;
        LongestTook = took > LongestTook ? took : LongestTook;
    }

    public void Add(PairCounts other)
    {
        Cover(other.From, other.LongestTook);
        CallsGood += other.CallsGood;
        CallsBad += other.CallsBad;
        CallsCancelled += other.CallsCancelled;
        AttemptsGood += other.AttemptsGood;
        AttemptsBad += other.AttemptsBad;
        AttemptsCancelled += other.AttemptsCancelled;
        AttemptsTls += other.AttemptsTls;
        Durations.Add(other.Durations);
    }
}
