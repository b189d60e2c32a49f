using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Puts what we say of an object into its status, beside what other controllers say. Pure.</summary>
internal static class StatusMerge
{
    private static readonly string[] Shared = ["parents", "ancestors"];

    /// <summary>The fields of the status that are to be written; null when all is as it should be.</summary>
    /// <param name="status">What stands there now.</param>
    /// <param name="wanted">As in <see cref="ObjectStatus.Status"/>.</param>
    public static JsonObject? Changes(JsonObject? status, JsonObject wanted, string controller, DateTimeOffset now)
    {
        var changes = new JsonObject();
        foreach (var (field, value) in wanted)
        {
            var held = status?[field] as JsonArray ?? [];
            var next = Shared.Contains(field) ? Entries(held, (JsonArray)value!, controller, now) : Conditions(held, (JsonArray)value!, now);
            if (!JsonNode.DeepEquals(held, next))
            {
                changes[field] = next;
            }
        }

        return changes.Count > 0 ? changes : null;
    }

    /// <summary>Ours in the place of ours, others' untouched and first.</summary>
    private static JsonArray Entries(JsonArray held, JsonArray wanted, string controller, DateTimeOffset now)
    {
        var others = held.OfType<JsonObject>().Where(e => Text(e["controllerName"]) != controller).Select(e => e.DeepClone());
        var ours = held.OfType<JsonObject>().Where(e => Text(e["controllerName"]) == controller).ToList();
        var next = wanted.OfType<JsonObject>().Select(e =>
        {
            var entry = (JsonObject)e.DeepClone();
            var before = ours.Find(o => Same(o["parentRef"] ?? o["ancestorRef"], e["parentRef"] ?? e["ancestorRef"]));
            entry["conditions"] = Conditions(before?["conditions"] as JsonArray ?? [], entry["conditions"] as JsonArray ?? [], now);
            return (JsonNode)entry;
        });
        return new JsonArray([.. others, .. next]);
    }

    /// <summary>The API server fills in what a reference leaves out.</summary>
    private static bool Same(JsonNode? a, JsonNode? b) => a is JsonObject x && b is JsonObject y
        && Text(x["name"]) == Text(y["name"]) && (Text(x["kind"]) ?? "Service") == (Text(y["kind"]) ?? "Service") && (Text(x["namespace"]) ?? string.Empty) == (Text(y["namespace"]) ?? string.Empty)
        && Text(x["sectionName"]) == Text(y["sectionName"]) && x["port"]?.ToJsonString() == y["port"]?.ToJsonString();

    private static JsonArray Conditions(JsonArray held, JsonArray wanted, DateTimeOffset now) => new([.. wanted.OfType<JsonObject>().Select(c =>
    {
        var next = (JsonObject)c.DeepClone();
        var before = held.OfType<JsonObject>().FirstOrDefault(h => Text(h["type"]) == Text(c["type"]));
        next["lastTransitionTime"] = before is not null && Text(before["status"]) == Text(c["status"]) && Text(before["lastTransitionTime"]) is { } since
            ? since
            : now.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        return (JsonNode)next;
    })]);

    private static string? Text(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
