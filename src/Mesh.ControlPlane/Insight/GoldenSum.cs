using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Insight;

/// <summary>Joins numbers of keys that stand for one thing. Counts are exact; of percentiles the worst is taken, for they can't be added.</summary>
internal static class GoldenSum
{
    public static GoldenNumbers Of(IEnumerable<GoldenNumbers> all)
    {
        GoldenNumbers? sum = null;
        foreach (var each in all)
        {
            sum = sum is null ? each : Add(sum, each);
        }

        return sum ?? GoldenNumbers.None;
    }

    private static GoldenNumbers Add(GoldenNumbers a, GoldenNumbers b)
    {
        var (requests, attempts) = (a.Requests + b.Requests, a.Attempts + b.Attempts);
        return new GoldenNumbers(
            requests, a.Failures + b.Failures, a.Cancelled + b.Cancelled, attempts, a.AttemptFailures + b.AttemptFailures, a.Retries + b.Retries,
            Weighted(a.SuccessRate, a.Attempts, b.SuccessRate, b.Attempts), Weighted(a.EffectiveSuccessRate, a.Requests, b.EffectiveSuccessRate, b.Requests),
            a.Rps + b.Rps, Math.Max(a.P50Ms, b.P50Ms), Math.Max(a.P95Ms, b.P95Ms), Math.Max(a.P99Ms, b.P99Ms), Weighted(a.MtlsShare, a.Attempts, b.MtlsShare, b.Attempts))
        {
            Connections = a.Connections + b.Connections,
            OpenedConnections = a.OpenedConnections + b.OpenedConnections,
            OpenConnections = a.OpenConnections + b.OpenConnections,
            ReceivedBytes = a.ReceivedBytes + b.ReceivedBytes,
            SentBytes = a.SentBytes + b.SentBytes,
        };
    }

    private static double Weighted(double a, long ofA, double b, long ofB) => ofA + ofB == 0 ? 1 : ((a * ofA) + (b * ofB)) / (ofA + ofB);
}
