using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes;

/// <summary>Ways through unstructured objects.</summary>
internal static class KubeJson
{
    /// <summary>As Go writes it: only what JSON itself asks for is escaped.</summary>
    public static JsonSerializerOptions Options { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] ToBytes(this JsonNode node)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            node.WriteTo(writer);
        }

        return buffer.ToArray();
    }

    public static JsonObject Copy(this JsonObject node) => (JsonObject)node.DeepClone();

    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            node = node is JsonObject map ? map[name] : null;
        }

        return node;
    }

    /// <summary>A string there, or empty.</summary>
    public static string Text(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : "";

    /// <summary>A whole number, however it came to be there; null: none.</summary>
    public static long? Long(this JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number && long.TryParse(value.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>The object there; made when missing.</summary>
    public static JsonObject Map(this JsonObject node, string name)
    {
        if (node[name] is not JsonObject map)
        {
            node[name] = map = [];
        }

        return map;
    }

    public static JsonObject Meta(this JsonObject node) => node.Map("metadata");

    public static string Name(this JsonObject node) => node.Text("metadata", "name");

    public static string Namespace(this JsonObject node) => node.Text("metadata", "namespace");

    public static IEnumerable<JsonNode?> Items(this JsonNode? node, params ReadOnlySpan<string> path) => node.At(path) as JsonArray ?? [];

    public static IEnumerable<string> Texts(this JsonNode? node, params ReadOnlySpan<string> path) => node.Items(path).Select(item => item.Text());

    public static JsonNode? Copy(JsonNode? node) => node?.DeepClone();

    public static void Default(this JsonObject node, string name, JsonNode? value)
    {
        if (!node.ContainsKey(name))
        {
            node[name] = value;
        }
    }

    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", System.Globalization.CultureInfo.InvariantCulture);
}
