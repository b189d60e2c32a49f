using System.Globalization;
using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Patching;

/// <summary>RFC 6902.</summary>
internal static class JsonPatch
{
    public static JsonNode? Apply(JsonNode? document, JsonArray operations)
    {
        foreach (var operation in operations)
        {
            document = Apply(document, operation as JsonObject ?? throw Malformed("an operation is not an object"));
        }

        return document;
    }

    private static JsonNode? Apply(JsonNode? document, JsonObject operation)
    {
        var path = Pointer(operation.Text("path"));
        switch (operation.Text("op"))
        {
            case "add":
                return Add(document, path, Value(operation));
            case "remove":
                return Remove(document, path);
            case "replace":
                _ = Get(document, path);
                return path.Length == 0 ? Value(operation) : Replace(document, path, Value(operation));
            case "move":
                var from = Pointer(operation.Text("from"));
                var moved = Get(document, from)?.DeepClone();
                return Add(Remove(document, from), path, moved);
            case "copy":
                return Add(document, path, Get(document, Pointer(operation.Text("from")))?.DeepClone());
            case "test":
                return JsonNode.DeepEquals(Get(document, path), operation["value"])
                    ? document
                    : throw Failed($"testing value {operation.Text("path")} failed");
            case var other:
                throw Malformed($"unexpected kind: {other}");
        }
    }

    private static JsonNode? Value(JsonObject operation) =>
        operation.TryGetPropertyValue("value", out var value) ? value?.DeepClone() : throw Malformed("an operation lacks its value");

    private static string[] Pointer(string path) =>
        path == "" ? []
        : path[0] == '/' ? [.. path[1..].Split('/').Select(p => p.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal))]
        : throw Malformed($"path '{path}' does not begin with '/'");

    private static JsonNode? Get(JsonNode? node, string[] path)
    {
        for (var i = 0; i < path.Length; i++)
        {
            node = node switch
            {
                JsonObject map when map.TryGetPropertyValue(path[i], out var inner) => inner,
                JsonArray list => list[Index(list, path[i], list.Count - 1)],
                _ => throw Failed($"doc is missing path: \"/{string.Join('/', path)}\": missing value"),
            };
        }

        return node;
    }

    private static JsonNode? Add(JsonNode? document, string[] path, JsonNode? value)
    {
        if (path.Length == 0)
        {
            return value;
        }

        switch (Get(document, path[..^1]))
        {
            case JsonObject map:
                map[path[^1]] = value;
                return document;
            case JsonArray list:
                list.Insert(path[^1] == "-" ? list.Count : Index(list, path[^1], list.Count), value);
                return document;
            default:
                throw Failed($"add operation does not apply: doc is missing path: \"/{string.Join('/', path)}\": missing value");
        }
    }

    private static JsonNode? Replace(JsonNode? document, string[] path, JsonNode? value)
    {
        switch (Get(document, path[..^1]))
        {
            case JsonObject map:
                map[path[^1]] = value;
                break;
            case JsonArray list:
                list[Index(list, path[^1], list.Count - 1)] = value;
                break;
        }

        return document;
    }

    private static JsonNode? Remove(JsonNode? document, string[] path)
    {
        if (path.Length == 0)
        {
            return null;
        }

        switch (Get(document, path[..^1]))
        {
            case JsonObject map when map.Remove(path[^1]):
                return document;
            case JsonArray list:
                list.RemoveAt(Index(list, path[^1], list.Count - 1));
                return document;
            default:
                throw Failed($"remove operation does not apply: doc is missing path: \"/{string.Join('/', path)}\": missing value");
        }
    }

    private static int Index(JsonArray list, string text, int last) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index <= last && index <= list.Count
            ? index
            : throw Failed($"unable to access invalid index: {text}: invalid index referenced");

    private static StatusException Failed(string why) => new(422, "Invalid", $"the server rejected our request due to an error in our request: {why}", []);

    private static StatusException Malformed(string why) => StatusException.BadRequest($"error decoding patch: {why}");
}
