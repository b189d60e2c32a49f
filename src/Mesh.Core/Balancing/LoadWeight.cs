using Mesh.Config;

namespace Mesh.Balancing;

/// <summary>What an endpoint is worth by the load that it reports of itself (gRFC A58). Thread-safe.</summary>
/// <remarks>Racing reports may mix for one update of the weights, which does no harm: there is no lock.</remarks>
internal sealed class LoadWeight
{
    private const long Never = long.MinValue;

    // Calls per second that no endpoint serves: whoever says more lies, and sums of such numbers would be none.
    private const double Most = 1e12;
    private double _weight;
    private long _reportedAt = Never;
    private long _since = Never;

    /// <param name="errorPenalty">What an error rate of 100 % adds to the utilization.</param>
    /// <param name="now">Timestamp.</param>
    public void Report(in LoadReport report, double errorPenalty, long now)
    {
        if (!(report is { Utilization: > 0, QueriesPerSecond: > 0 }))
        {
            // Says nothing: what was known stays until it expires.
            return;
        }

        var utilization = report.Utilization + (Math.Max(0, report.ErrorsPerSecond) / report.QueriesPerSecond * errorPenalty);
        var weight = report.QueriesPerSecond / utilization;
        if (!(weight is > 0 and < Most))
        {
            return;
        }

        Volatile.Write(ref _weight, weight);
        Volatile.Write(ref _reportedAt, now);
        Interlocked.CompareExchange(ref _since, now, Never);
    }

    /// <summary>The endpoint was away: reports count again only after another blackout.</summary>
    public void StartAgain() => Volatile.Write(ref _since, Never);

    /// <summary>0 when there was no report, when they have just begun (blackout), or when the last one is too old.</summary>
    /// <param name="isStale">The last one is too old.</param>
    public double At(WeightedRoundRobin settings, TimeProvider time, long now, out bool isStale)
    {
        var (reportedAt, since) = (Volatile.Read(ref _reportedAt), Volatile.Read(ref _since));
        isStale = false;
        if (reportedAt == Never)
        {
            return 0;
        }

        if (time.GetElapsedTime(reportedAt, now) >= settings.Expiration)
        {
            StartAgain();
            isStale = true;
            return 0;
        }

        return since == Never || time.GetElapsedTime(since, now) < settings.Blackout ? 0 : Volatile.Read(ref _weight);
    }
}
