using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.ControlPlane.Tests.Install;

/// <summary>Asks an OpenAPI v3 schema as the API server does for custom resources, but for CEL.</summary>
internal static class StructuralSchema
{
    /// <summary>Every problem: path and what is wrong.</summary>
    public static List<string> Check(JsonObject schema, JsonNode? value, string path = "")
    {
        var problems = new List<string>();
        Walk(schema, value, path, problems);
        return problems;
    }

    private static void Walk(JsonObject schema, JsonNode? value, string path, List<string> problems)
    {
        if (schema["type"] is { } type && !IsType(type.GetValue<string>(), value))
        {
            problems.Add($"{path} is no {type}");
            return;
        }

        if (schema["enum"] is JsonArray words && !words.Any(w => JsonNode.DeepEquals(w, value)))
        {
            problems.Add($"{path} is none of {words.ToJsonString()}");
        }

        switch (value?.GetValueKind())
        {
            case JsonValueKind.String: CheckText(schema, value.GetValue<string>(), path, problems); break;
            case JsonValueKind.Number: CheckNumber(schema, Number(value), path, problems); break;
            case JsonValueKind.Array: CheckList(schema, (JsonArray)value, path, problems); break;
            case JsonValueKind.Object: CheckObject(schema, (JsonObject)value, path, problems); break;
            default: break;
        }

        foreach (var all in (schema["allOf"] as JsonArray ?? []).OfType<JsonObject>())
        {
            Walk(all, value, path, problems);
        }

        if (schema["anyOf"] is JsonArray any && !any.OfType<JsonObject>().Any(a => Check(a, value).Count == 0))
        {
            problems.Add($"{path} matches none of anyOf");
        }

        if (schema["not"] is JsonObject not && Check(not, value).Count == 0)
        {
            problems.Add($"{path} matches what it must not");
        }
    }

    private static void CheckText(JsonObject schema, string text, string path, List<string> problems)
    {
        var length = new StringInfo(text).LengthInTextElements;
        if (length > Limit(schema, "maxLength", int.MaxValue) || length < Limit(schema, "minLength", 0))
        {
            problems.Add($"{path} has {length} characters");
        }

        // RE2's '$' is the end of the text, .NET's also stands before a line feed at the end.
        if (schema["pattern"] is { } pattern && (text.EndsWith('\n') || !Regex.IsMatch(text, pattern.GetValue<string>(), RegexOptions.CultureInvariant, TimeSpan.FromSeconds(5))))
        {
            problems.Add($"{path} is '{text}'");
        }
    }

    private static void CheckNumber(JsonObject schema, double number, string path, List<string> problems)
    {
        if (number < Limit(schema, "minimum", double.MinValue) || number > Limit(schema, "maximum", double.MaxValue))
        {
            problems.Add(string.Create(CultureInfo.InvariantCulture, $"{path} is {number}"));
        }
    }

    private static void CheckList(JsonObject schema, JsonArray list, string path, List<string> problems)
    {
        if (list.Count < Limit(schema, "minItems", 0) || list.Count > Limit(schema, "maxItems", int.MaxValue))
        {
            problems.Add($"{path} has {list.Count} entries");
        }

        if (schema["items"] is JsonObject items)
        {
            for (var i = 0; i < list.Count; i++)
            {
                Walk(items, list[i], $"{path}[{i}]", problems);
            }
        }
    }

    private static void CheckObject(JsonObject schema, JsonObject map, string path, List<string> problems)
    {
        if (map.Count < Limit(schema, "minProperties", 0) || map.Count > Limit(schema, "maxProperties", int.MaxValue))
        {
            problems.Add($"{path} has {map.Count} fields");
        }

        foreach (var name in (schema["required"] as JsonArray ?? []).Select(r => r!.GetValue<string>()).Where(r => !map.ContainsKey(r)))
        {
            problems.Add($"{path}.{name} is missing");
        }

        foreach (var (key, value) in map)
        {
            if (schema["properties"]?[key] is JsonObject field)
            {
                Walk(field, value, $"{path}.{key}", problems);
            }
            else if (schema["additionalProperties"] is JsonObject additional)
            {
                Walk(additional, value, $"{path}.{key}", problems);
            }
            else if (schema["properties"] is not null && schema["type"] is not null)
            {
                problems.Add($"{path}.{key} is unknown");
            }
        }
    }

    private static double Limit(JsonObject schema, string name, double standard) => schema[name] is { } limit ? Number(limit) : standard;

    private static double Number(JsonNode value) => double.Parse(value.ToJsonString(), CultureInfo.InvariantCulture);

    private static bool IsType(string type, JsonNode? value) => (type, value?.GetValueKind()) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("number", JsonValueKind.Number) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("integer", JsonValueKind.Number) => double.IsInteger(Number(value!)),
        _ => false,
    };
}
