using System.Text.Json.Serialization;

namespace Mesh.ControlPlane.Insight;

/// <summary>How well something is; later is worse.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<HealthLevel>))]
internal enum HealthLevel
{
    /// <summary>Nobody calls it.</summary>
    [JsonStringEnumMemberName("idle")]
    Idle,

    [JsonStringEnumMemberName("ok")]
    Ok,

    [JsonStringEnumMemberName("degraded")]
    Degraded,

    [JsonStringEnumMemberName("failing")]
    Failing,
}

/// <summary>Why something is not well, or is worth a look.</summary>
/// <param name="Code">One of <see cref="ReasonCodes"/>.</param>
/// <param name="Text">For people.</param>
/// <param name="Since">When it began; null when that is not known.</param>
internal sealed record Reason(string Code, string Text, DateTimeOffset? Since)
{
    /// <summary>What it makes of the service; <see cref="HealthLevel.Idle"/> is nothing by itself.</summary>
    [JsonIgnore]
    public HealthLevel Weight { get; init; }
}

/// <summary>The codes of reasons (docs/api.md).</summary>
internal static class ReasonCodes
{
    public const string Failures = "failures";
    public const string Latency = "latency";
    public const string NoEndpoints = "no_endpoints";
    public const string Ejected = "ejected";
    public const string Plaintext = "plaintext";
    public const string Denied = "denied";
    public const string Shed = "shed";
    public const string Retries = "retries";
    public const string StaleConfig = "stale_config";
    public const string Certificate = "certificate";
    public const string Nack = "nack";
    public const string Fault = "fault";
}
