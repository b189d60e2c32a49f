using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Tests.Insight;

/// <summary>Checks an instance against a schema of the API's document: the part of JSON Schema 2020-12 that it uses; what the schema does not name is a problem too.</summary>
internal sealed class JsonShape(JsonObject document)
{
    public IReadOnlyList<string> Problems(JsonNode schema, JsonNode? value) => [.. Check(schema, value, "$")];

    private IEnumerable<string> Check(JsonNode schema, JsonNode? value, string at)
    {
        if (schema is not JsonObject rules)
        {
            return schema is JsonValue yes && yes.GetValueKind() == JsonValueKind.True ? [] : [$"{at}: nothing may be here"];
        }

        if (rules["$ref"] is { } reference)
        {
            return Check(Find(reference.GetValue<string>()), value, at);
        }

        if (rules["enum"] is JsonArray values)
        {
            return values.Any(v => JsonNode.DeepEquals(v, value)) ? [] : [$"{at}: '{value}' is none of {values.ToJsonString()}"];
        }

        var type = TypeOf(value);
        if (rules["type"] is { } types && !(types is JsonArray many ? many.Select(t => t!.GetValue<string>()) : [types.GetValue<string>()]).Any(t => t == type || (t == "number" && type == "integer")))
        {
            return [$"{at}: {type} where {types.ToJsonString()} should be"];
        }

        return value switch
        {
            JsonObject map => map.SelectMany(p => rules["properties"]?[p.Key] is { } property ? Check(property, p.Value, $"{at}.{p.Key}")
                : rules["additionalProperties"] is { } more ? Check(more, p.Value, $"{at}.{p.Key}")
                : rules["properties"] is null ? [] : [$"{at}.{p.Key}: it is not in the schema"])
                .Concat((rules["required"] as JsonArray ?? []).Select(r => r!.GetValue<string>()).Where(r => !map.ContainsKey(r)).Select(r => $"{at}.{r}: it is missing")),
            JsonArray list when rules["items"] is { } item => list.SelectMany((v, i) => Check(item, v, $"{at}[{i}]")),
            _ => [],
        };
    }

    private JsonNode Find(string pointer)
    {
        JsonNode? node = document;
        foreach (var step in pointer.TrimStart('#', '/').Split('/'))
        {
            node = node is JsonArray list ? list[int.Parse(step)] : node?[step.Replace("~1", "/", StringComparison.Ordinal)];
        }

        return node ?? throw new InvalidOperationException($"'{pointer}' leads nowhere.");
    }

    private static string TypeOf(JsonNode? value) => value?.GetValueKind() switch
    {
        null or JsonValueKind.Null => "null",
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => value.ToJsonString().Any(c => c is '.' or 'e' or 'E') ? "number" : "integer",
        _ => "boolean",
    };
}
