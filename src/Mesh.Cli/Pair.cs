using System.Text.Json.Nodes;
using Mesh.Cli.Commands;

namespace Mesh.Cli;

/// <summary>A caller→callee pair (contracts §8).</summary>
internal sealed record Pair(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, long Requests, double? SuccessRate, double? EffectiveSuccessRate,
    double? Rps, double? P50Ms, double? P95Ms, double? P99Ms, double? MtlsShare, long Retries)
{
    /// <summary>Pairs beside the JSON they came from, filtered and in the order of their names.</summary>
    public static async Task<IReadOnlyList<(Pair Pair, JsonNode Json)>> LoadAsync(
        ControlPlaneApi api, AskedSpan span, bool live, TextWriter error, Func<Pair, bool> wanted, CancellationToken cancellationToken)
    {
        if (span.HasEnds)
        {
            var items = await LoadItemsAsync(api, span, live, error, _ => true, cancellationToken);
            return InOrder(items.Where(i => i.Item.HasCalls).Select(i => GoldenItem.PairOf(i.Json)).Select(json => (Pair: api.Read<Pair>(json, "api/v1/golden"), Json: (JsonNode)json)).Where(p => wanted(p.Pair)));
        }

        var path = $"api/v1/pairs?window={span.Seconds}{(live ? "&live=true" : string.Empty)}";
        var array = await api.GetArrayAsync(path, cancellationToken);
        return InOrder(array.Where(node => node is not null).Select(node => (Pair: api.Read<Pair>(node!, path), Json: node!)).Where(pair => wanted(pair.Pair)));
    }

    /// <summary>The same with all that is known of each, those with nothing but connections among them.</summary>
    public static async Task<IReadOnlyList<(GoldenItem Item, JsonNode Json)>> LoadItemsAsync(
        ControlPlaneApi api, AskedSpan span, bool live, TextWriter error, Func<Pair, bool> wanted, CancellationToken cancellationToken)
    {
        var path = "api/v1/golden?" + GoldenOptions.Text([("by", "pair"), .. span.Query, ("live", live ? "true" : null)]);
        var items = await GoldenItem.LoadAsync(api, path, error, cancellationToken);
        return
        [
            .. items.Where(i => wanted(api.Read<Pair>(GoldenItem.PairOf(i.Json), path)))
                .OrderBy(i => (i.Item.SourceNamespace, i.Item.Source, i.Item.DestinationNamespace, i.Item.Destination)),
        ];
    }

    public bool Touches(string? @namespace) => @namespace is null || SourceNamespace == @namespace || DestinationNamespace == @namespace;

    private static List<(Pair Pair, JsonNode Json)> InOrder(IEnumerable<(Pair Pair, JsonNode Json)> pairs) =>
        [.. pairs.OrderBy(p => (p.Pair.SourceNamespace, p.Pair.Source, p.Pair.DestinationNamespace, p.Pair.Destination))];
}
