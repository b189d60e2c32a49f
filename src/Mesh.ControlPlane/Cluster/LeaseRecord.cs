using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Who leads, as a Lease (coordination.k8s.io/v1) says it.</summary>
/// <param name="Holder">Empty when nobody does.</param>
internal sealed record LeaseRecord(string Holder, int DurationSeconds, string? Acquired, string? Renewed, int Transitions)
{
    /// <summary>meta/v1 MicroTime.</summary>
    public static string MicroTime(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);

    public static LeaseRecord Read(JsonObject lease)
    {
        var spec = lease["spec"] as JsonObject;
        return new LeaseRecord(
            Text(spec?["holderIdentity"]) ?? string.Empty, Number(spec?["leaseDurationSeconds"]) ?? 0, Text(spec?["acquireTime"]), Text(spec?["renewTime"]), Number(spec?["leaseTransitions"]) ?? 0);
    }

    /// <summary>The lease with this in it; what else stands there stays.</summary>
    public JsonObject WriteTo(JsonObject lease)
    {
        var written = (JsonObject)lease.DeepClone();
        var spec = written["spec"] as JsonObject ?? [];
        spec["holderIdentity"] = Holder;
        spec["leaseDurationSeconds"] = DurationSeconds;
        spec["acquireTime"] = Acquired;
        spec["renewTime"] = Renewed;
        spec["leaseTransitions"] = Transitions;
        written["spec"] = spec;
        return written;
    }

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    private static int? Number(JsonNode? node) => node is JsonValue value && value.TryGetValue<int>(out var number) ? number : null;
}
