using System.Text.Json.Nodes;

namespace Mesh.Cli;

/// <summary>A caller→callee pair (contracts §8).</summary>
internal sealed record Pair(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, long Requests, double? SuccessRate, double? EffectiveSuccessRate,
    double? Rps, double? P50Ms, double? P95Ms, double? P99Ms, double? MtlsShare, long Retries)
{
    /// <summary>Pairs beside the JSON they came from, filtered and in the order of their names.</summary>
    public static async Task<IReadOnlyList<(Pair Pair, JsonNode Json)>> LoadAsync(
        ControlPlaneApi api, TimeSpan window, Func<Pair, bool> wanted, CancellationToken cancellationToken)
    {
        var path = $"api/v1/pairs?window={Math.Max(1, (int)window.TotalSeconds)}";
        var array = await api.GetArrayAsync(path, cancellationToken);
        return [.. array
            .Where(node => node is not null)
            .Select(node => (Pair: api.Read<Pair>(node!, path), Json: node!))
            .Where(pair => wanted(pair.Pair))
            .OrderBy(pair => (pair.Pair.SourceNamespace, pair.Pair.Source, pair.Pair.DestinationNamespace, pair.Pair.Destination))];
    }

    public bool Touches(string? @namespace) => @namespace is null || SourceNamespace == @namespace || DestinationNamespace == @namespace;

    public static string ToJson(IEnumerable<(Pair Pair, JsonNode Json)> pairs) =>
        new JsonArray([.. pairs.Select(pair => pair.Json.DeepClone())]).ToJsonString(ControlPlaneApi.Json);
}
