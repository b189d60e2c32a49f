namespace Mesh.ControlPlane.Telemetry;

/// <summary>The pair object (contracts §8).</summary>
internal sealed record Pair(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, long Requests, double SuccessRate, double EffectiveSuccessRate,
    double Rps, double P50Ms, double P95Ms, double P99Ms, double MtlsShare, long Retries)
{
    /// <summary>Pairs with calls; those with nothing but connections are none.</summary>
    public static IReadOnlyList<Pair> Of(IEnumerable<GoldenItem> byPair) =>
    [
        .. from item in byPair
           let n = item.Numbers
           where n.Requests + n.Attempts > 0
           select new Pair(
               item.Key.Source!, item.Key.SourceNamespace!, item.Key.Destination!, item.Key.DestinationNamespace!, n.Requests, n.SuccessRate, n.EffectiveSuccessRate,
               n.Rps, n.P50Ms, n.P95Ms, n.P99Ms, n.MtlsShare, n.Retries),
    ];
}

/// <param name="Requests">Attempts that arrived there.</param>
internal sealed record EndpointRequests(string Service, string Namespace, string Address, long Requests)
{
    public static IReadOnlyList<EndpointRequests> Of(IEnumerable<GoldenItem> byEndpoint) =>
    [
        .. byEndpoint.Where(i => i.Key.Endpoint!.Length > 0)
            .GroupBy(i => (i.Key.Backend, i.Key.BackendNamespace, i.Key.Endpoint), i => i.Numbers.Requests)
            .Select(e => new EndpointRequests(e.Key.Backend!, e.Key.BackendNamespace!, e.Key.Endpoint!, e.Sum()))
            .Where(e => e.Requests > 0)
            .OrderBy(e => e.Namespace, StringComparer.Ordinal).ThenBy(e => e.Service, StringComparer.Ordinal).ThenBy(e => e.Address, StringComparer.Ordinal),
    ];
}
