namespace Mesh.Balancing;

/// <summary>What an endpoint's latency is worth now: a peak shows at once, calm is believed slowly.</summary>
/// <remarks>
/// A sample above the average replaces it; lower ones pull it down with a time constant of 5 s, and so does time without samples, so that an endpoint that was slow is tried again.
/// Racing writers may lose a sample, which does no harm: there is no lock.
/// </remarks>
/// <param name="initial">What it is worth until it was measured.</param>
/// <param name="trials">So many first samples count as no worse than the average: a process that has just started is slow at first, and each such peak would take it out for many seconds.</param>
internal sealed class PeakEwma(TimeProvider time, TimeSpan initial, int trials = 0)
{
    /// <summary>What an endpoint without history is worth when its cluster has none either (Linkerd's default).</summary>
    public static readonly TimeSpan DefaultRtt = TimeSpan.FromMilliseconds(30);

    private const double DecaySeconds = 5;

    // A failure is cheap to serve and must not look attractive. It is forgotten soon: a wide memory of failures is the outlier detector's job.
    private const double PenaltySeconds = 0.5;
    private const double PenaltyDecaySeconds = 1;
    private double _average = initial.TotalSeconds;
    private long _averageAt = time.GetTimestamp();
    private int _trials = trials;
    private double _penalty;
    private long _penaltyAt;

    /// <summary>True once a call was measured.</summary>
    public bool HasSamples { get; private set; }

    /// <param name="cold">The attempt waited for a new connection: its handshake, and the first call of a process that has just started, say nothing of
    /// the calls to come. It counts as no worse than the average or <see cref="DefaultRtt"/>; else a restarted endpoint would be shunned for a minute.</param>
    public void Record(TimeSpan rtt, long now, bool cold = false)
    {
        var average = Volatile.Read(ref _average);
        var sample = cold || Volatile.Read(ref _trials) > 0 ? Math.Min(rtt.TotalSeconds, Math.Max(average, DefaultRtt.TotalSeconds)) : rtt.TotalSeconds;
        if (_trials > 0)
        {
            Interlocked.Decrement(ref _trials);
        }

        if (!HasSamples || sample >= average)
        {
            average = sample;
        }
        else
        {
            var keep = Keep(Volatile.Read(ref _averageAt), now, DecaySeconds);
            average = (average * keep) + (sample * (1 - keep));
        }

        Volatile.Write(ref _average, average);
        Volatile.Write(ref _averageAt, now);
        HasSamples = true;
    }

    public void Penalize(long now)
    {
        Volatile.Write(ref _penalty, PenaltySeconds);
        Volatile.Write(ref _penaltyAt, now);
    }

    /// <summary>Seconds.</summary>
    public double Cost(long now)
    {
        var cost = Volatile.Read(ref _average) * Keep(Volatile.Read(ref _averageAt), now, DecaySeconds);
        var penalty = Volatile.Read(ref _penalty);
        return penalty == 0 ? cost : cost + (penalty * Keep(Volatile.Read(ref _penaltyAt), now, PenaltyDecaySeconds));
    }

    private double Keep(long since, long now, double decaySeconds) =>
        Math.Exp(-Math.Max(0, (double)(now - since) / time.TimestampFrequency) / decaySeconds);
}
