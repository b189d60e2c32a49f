using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Reads JSON that may be of any shape: what is not there, or is of another kind, is null.</summary>
internal static class JsonRead
{
    /// <summary>Two members of one name would be read differently by different readers.</summary>
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <returns>Null when the text is no JSON object.</returns>
    public static JsonObject? Parse(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return JsonNode.Parse(utf8, documentOptions: Strict) as JsonObject;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <inheritdoc cref="Parse(ReadOnlySpan{byte})"/>
    public static JsonNode? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text, documentOptions: Strict);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    public static JsonObject? Object(this JsonObject? from, string name) => from?[name] as JsonObject;

    public static JsonArray? Array(this JsonObject? from, string name) => from?[name] as JsonArray;

    /// <summary>The objects of a list; whatever else stands there is left out.</summary>
    public static IEnumerable<JsonObject> Objects(this JsonObject? from, string name) => from.Array(name)?.OfType<JsonObject>() ?? [];

    public static string? Text(this JsonObject? from, string name) => from?[name].AsText();

    public static string? AsText(this JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;

    public static bool Flag(this JsonObject? from, string name) => from?[name] is JsonValue value && value.TryGetValue<bool>(out var flag) && flag;

    // What was read is converted; what was made here is of the type it was made of.
    public static long? Integer(this JsonObject? from, string name) => from?[name] is not JsonValue value ? null
        : value.TryGetValue<long>(out var number) ? number
        : value.TryGetValue<int>(out var small) ? small
        : null;

    /// <summary>Labels or annotations.</summary>
    public static Dictionary<string, string> Texts(this JsonObject? from, string name)
    {
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in from.Object(name) ?? [])
        {
            if (value.AsText() is { } text)
            {
                texts[key] = text;
            }
        }

        return texts;
    }
}
