namespace Mesh.ControlPlane.Telemetry;

/// <summary>What was counted between one caller and one called Service. Not thread-safe: owned by the store's lock.</summary>
internal sealed class PairCounts
{
    public long CallsGood { get; set; }

    public long CallsBad { get; set; }

    public long AttemptsGood { get; set; }

    public long AttemptsBad { get; set; }

    /// <summary>Attempts over mesh TLS.</summary>
    public long AttemptsTls { get; set; }

    /// <summary>Durations of calls, retries included.</summary>
    public BucketCounts Durations { get; } = new();

    public void Add(PairCounts other)
    {
        CallsGood += other.CallsGood;
        CallsBad += other.CallsBad;
        AttemptsGood += other.AttemptsGood;
        AttemptsBad += other.AttemptsBad;
        AttemptsTls += other.AttemptsTls;
        Durations.Add(other.Durations);
    }
}
