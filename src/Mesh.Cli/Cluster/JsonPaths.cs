using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.Cli.Cluster;

/// <summary>Reads Kubernetes objects; what is not there, or is something else, is null.</summary>
internal static class JsonPaths
{
    public static JsonNode? At(this JsonNode? node, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            node = (node as JsonObject)?[name];
        }

        return node;
    }

    public static string? Text(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is { } value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    public static long? Number(this JsonNode? node, params ReadOnlySpan<string> path) =>
        node.At(path) is { } value && value.GetValueKind() == JsonValueKind.Number && long.TryParse(value.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture, out var number) ? number : null;

    public static IEnumerable<JsonObject> Each(this JsonNode? node, params ReadOnlySpan<string> path) => (node.At(path) as JsonArray ?? []).OfType<JsonObject>();

    public static string Name(this JsonNode item) => item.Text("metadata", "name") ?? "?";

    public static string? Namespace(this JsonNode item) => item.Text("metadata", "namespace");

    /// <summary><c>namespace/name</c>, or the name of what belongs to no namespace.</summary>
    public static string FullName(this JsonNode item) => item.Namespace() is { } ns ? $"{ns}/{item.Name()}" : item.Name();
}
