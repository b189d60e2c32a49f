namespace Mesh.ControlPlane.Telemetry;

/// <summary>Who calls whom; on unmeshed callers the source namespace is empty.</summary>
/// <param name="Witnessed">Reported by the called side: counts only while the caller reports nothing itself (contracts §7).</param>
internal readonly record struct PairKey(string Source, string SourceNamespace, string Destination, string DestinationNamespace, bool Witnessed = false);

/// <summary>A service account that calls others.</summary>
internal readonly record struct Caller(string ServiceAccount, string Namespace);

/// <summary>The pair object (contracts §8).</summary>
internal sealed record Pair(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, long Requests, double SuccessRate, double EffectiveSuccessRate,
    double Rps, double P50Ms, double P95Ms, double P99Ms, double MtlsShare, long Retries)
{
    public static Pair From(PairKey key, PairCounts counts, TimeSpan over)
    {
        // What a caller gave up was asked for all the same, but says nothing of how well it was answered.
        var calls = counts.CallsGood + counts.CallsBad + counts.CallsCancelled;
        var attempts = counts.AttemptsGood + counts.AttemptsBad + counts.AttemptsCancelled;
        return new Pair(
            key.Source, key.SourceNamespace, key.Destination, key.DestinationNamespace,
            calls,
            Share(counts.AttemptsGood, counts.AttemptsGood + counts.AttemptsBad),
            Share(counts.CallsGood, counts.CallsGood + counts.CallsBad),
            Math.Round(calls / Math.Max(1, over.TotalSeconds), 3),
            Ms(counts, 0.50), Ms(counts, 0.95), Ms(counts, 0.99),
            attempts == 0 ? 0 : (double)counts.AttemptsTls / attempts,
            Math.Max(0, attempts - calls));
    }

    // Nothing failed when nothing was tried.
    private static double Share(long good, long all) => all == 0 ? 1 : (double)good / all;

    private static double Ms(PairCounts counts, double share) => Math.Round(counts.Durations.Quantile(share) * 1000, 3);
}

/// <param name="WitnessedFrom">The caller, when the called side reported it; null when the caller did.</param>
internal readonly record struct EndpointKey(string Service, string Namespace, string Address, Caller? WitnessedFrom = null);

/// <param name="Requests">Attempts that arrived there.</param>
internal sealed record EndpointRequests(string Service, string Namespace, string Address, long Requests);
