using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>The bytes in a Secret.</summary>
internal static class SecretContent
{
    /// <exception cref="InvalidDataException">A value is no base64.</exception>
    public static ImmutableDictionary<string, byte[]> Read(JsonObject secret, string name)
    {
        var content = ImmutableDictionary.CreateBuilder<string, byte[]>(StringComparer.Ordinal);
        foreach (var (key, value) in secret["data"] as JsonObject ?? [])
        {
            var text = value is JsonValue one && one.TryGetValue<string>(out var read) ? read : string.Empty;
            try
            {
                content[key] = Convert.FromBase64String(text);
            }
            catch (FormatException e)
            {
                throw new InvalidDataException($"Key '{key}' of {name} is no base64. Restore it from a copy.", e);
            }
        }

        return content.ToImmutable();
    }

    public static JsonObject Write(IEnumerable<KeyValuePair<string, byte[]>> content) =>
        new(content.OrderBy(c => c.Key, StringComparer.Ordinal).Select(c => KeyValuePair.Create(c.Key, (JsonNode?)JsonValue.Create(Convert.ToBase64String(c.Value)))));

    public static JsonObject New(string ns, string name, string type, IEnumerable<KeyValuePair<string, byte[]>> content) => new()
    {
        ["apiVersion"] = "v1",
        ["kind"] = "Secret",
        ["type"] = type,
        ["metadata"] = new JsonObject
        {
            ["name"] = name,
            ["namespace"] = ns,
            ["labels"] = new JsonObject { ["app.kubernetes.io/part-of"] = "mesh", ["app.kubernetes.io/managed-by"] = ClusterNames.FieldManager },
        },
        ["data"] = Write(content),
    };
}
