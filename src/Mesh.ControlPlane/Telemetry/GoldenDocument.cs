using System.Text.Json.Serialization;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>An item as the API writes it (docs/api.md): its key, as far as it has one, and its numbers.</summary>
internal sealed record GoldenDocument(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Source,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? SourceNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Destination,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DestinationNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Route,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Backend,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? BackendNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Endpoint,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? View,
    long Requests, long Failures, long Cancelled, long Attempts, long AttemptFailures, long Retries, double SuccessRate, double EffectiveSuccessRate,
    double Rps, double P50Ms, double P95Ms, double P99Ms, double MtlsShare, long Connections, long OpenedConnections, long? OpenConnections, long ReceivedBytes, long SentBytes)
{
    public static GoldenDocument Of(GoldenItem item) => Of(item.Key, item.Numbers);

    /// <summary>Without a key.</summary>
    public static GoldenDocument Of(GoldenNumbers numbers) => Of(new GoldenKey(), numbers);

    private static GoldenDocument Of(GoldenKey key, GoldenNumbers n) => new(
        key.Source, key.SourceNamespace, key.Destination, key.DestinationNamespace, key.Route, key.Backend, key.BackendNamespace, key.Endpoint, key.View,
        n.Requests, n.Failures, n.Cancelled, n.Attempts, n.AttemptFailures, n.Retries, n.SuccessRate, n.EffectiveSuccessRate,
        n.Rps, n.P50Ms, n.P95Ms, n.P99Ms, n.MtlsShare, n.Connections, n.OpenedConnections, n.OpenConnections, n.ReceivedBytes, n.SentBytes);
}

/// <summary>A series as the API writes it.</summary>
internal sealed record GoldenSeriesDocument(
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Source,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? SourceNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Destination,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? DestinationNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Route,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Backend,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? BackendNamespace,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Endpoint,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? View,
    DateTimeOffset T0, IReadOnlyList<long?> Requests, IReadOnlyList<long?> Failures, IReadOnlyList<long?> Retries,
    IReadOnlyList<double?> P50Ms, IReadOnlyList<double?> P95Ms, IReadOnlyList<double?> P99Ms)
{
    public static GoldenSeriesDocument Of(GoldenSeries s) => new(
        s.Key.Source, s.Key.SourceNamespace, s.Key.Destination, s.Key.DestinationNamespace, s.Key.Route, s.Key.Backend, s.Key.BackendNamespace, s.Key.Endpoint, s.Key.View,
        s.T0, s.Requests, s.Failures, s.Retries, s.P50Ms, s.P95Ms, s.P99Ms);
}

/// <summary>What every answer about measurements comes in.</summary>
internal sealed record GoldenEnvelope(
    DateTimeOffset From, DateTimeOffset To, double StepS, DateTimeOffset ReachesBackTo, string Store, IReadOnlyList<MissingReplica> Partial, IReadOnlyList<MissingTime> Gaps, IReadOnlyList<object> Items)
{
    public static GoldenEnvelope Of<T>(GoldenAnswer<T> answer, IEnumerable<object> items) => new(
        answer.From, answer.To, answer.Step.TotalSeconds, answer.ReachesBackTo, answer.Store, answer.Partial, answer.Gaps, [.. items]);
}
