using System.Text.Json.Nodes;
using Mesh.Cli.Output;

namespace Mesh.Cli;

/// <summary>An item of <c>/golden</c>: the names it is by, and its numbers (docs/api.md).</summary>
internal sealed record GoldenItem(
    string? Source, string? SourceNamespace, string? Destination, string? DestinationNamespace, string? Route, string? View,
    long Requests, long Attempts, long Retries, double? SuccessRate, double? EffectiveSuccessRate, double? Rps, double? P50Ms, double? P95Ms, double? P99Ms, double? MtlsShare,
    long Connections, long OpenedConnections, long? OpenConnections, long ReceivedBytes, long SentBytes)
{
    private static readonly string[] _pair =
    [
        "source", "source_namespace", "destination", "destination_namespace", "requests", "success_rate", "effective_success_rate", "rps", "p50_ms", "p95_ms", "p99_ms", "mtls_share", "retries",
    ];

    /// <summary>How long was asked of; set when it is read.</summary>
    public double OverSeconds { get; init; }

    /// <summary>To the called side.</summary>
    public double? ReadBytesPerSecond => OverSeconds > 0 ? ReceivedBytes / OverSeconds : null;

    /// <summary>Back to who called.</summary>
    public double? WrittenBytesPerSecond => OverSeconds > 0 ? SentBytes / OverSeconds : null;

    /// <summary>Nothing but HTTP was seen.</summary>
    public bool HasCalls => Requests + Attempts > 0;

    /// <summary>Rate of attempts: of what was sent, retries too.</summary>
    public double? ActualRps => Requests == 0 ? Rps : Rps * Attempts / Requests;

    /// <summary>Items beside the JSON they came from; what the answer lacks is told to people.</summary>
    public static async Task<IReadOnlyList<(GoldenItem Item, JsonNode Json)>> LoadAsync(ControlPlaneApi api, string path, TextWriter error, CancellationToken cancellationToken)
    {
        var answer = await api.GetAsync(path, cancellationToken);
        await Wholeness.TellAsync(answer, error);
        var over = Wholeness.Time(answer["to"]) - Wholeness.Time(answer["from"]);
        return [.. (answer["items"] as JsonArray ?? []).Where(i => i is not null).Select(i => (api.Read<GoldenItem>(i!, path) with { OverSeconds = over?.TotalSeconds ?? 0 }, i!))];
    }

    /// <summary>As the pair object has it (contracts §8).</summary>
    public static JsonObject PairOf(JsonNode item) => new(_pair.Select(name => KeyValuePair.Create(name, item[name]?.DeepClone())));
}
