using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Schemas;

/// <summary>What a schema does to an object before it is checked: unknown fields go, defaults come.</summary>
internal static class SchemaFilling
{
    private static readonly string[] ObjectFields = ["apiVersion", "kind", "metadata"];

    /// <returns>The unknown fields.</returns>
    public static List<string> Prune(JsonObject schema, JsonObject json)
    {
        var unknown = new List<string>();
        Prune(schema, json, "", isObject: true, unknown);
        return unknown;
    }

    public static void Default(JsonObject schema, JsonNode? value)
    {
        switch (value)
        {
            case JsonObject map:
                foreach (var (name, inner) in schema["properties"] as JsonObject ?? [])
                {
                    // A null where none may be is as good as nothing.
                    if (map.ContainsKey(name) && map[name] is null && (bool?)inner.At("nullable") != true)
                    {
                        map.Remove(name);
                    }

                    if (!map.ContainsKey(name) && inner is JsonObject known && known.ContainsKey("default"))
                    {
                        map[name] = known["default"]?.DeepClone();
                    }

                    Default((JsonObject)inner!, map[name]);
                }

                if (schema["additionalProperties"] is JsonObject others)
                {
                    foreach (var (_, inner) in map)
                    {
                        Default(others, inner);
                    }
                }

                break;
            case JsonArray list when schema["items"] is JsonObject items:
                foreach (var item in list)
                {
                    Default(items, item);
                }

                break;
        }
    }

    private static void Prune(JsonObject schema, JsonNode? value, string path, bool isObject, List<string> unknown)
    {
        switch (value)
        {
            case JsonObject map:
                foreach (var (name, inner) in map.ToList())
                {
                    var where = path == "" ? name : $"{path}.{name}";
                    if (isObject && ObjectFields.Contains(name))
                    {
                        continue;
                    }

                    if (schema.At("properties", name) is JsonObject known)
                    {
                        Prune(known, inner, where, (bool?)known["x-kubernetes-embedded-resource"] == true, unknown);
                    }
                    else if (schema["additionalProperties"] is JsonObject others)
                    {
                        Prune(others, inner, where, false, unknown);
                    }
                    else if (schema["additionalProperties"] is not JsonValue && (bool?)schema["x-kubernetes-preserve-unknown-fields"] != true)
                    {
                        unknown.Add(where);
                        map.Remove(name);
                    }
                }

                break;
            case JsonArray list when schema["items"] is JsonObject items:
                for (var i = 0; i < list.Count; i++)
                {
                    Prune(items, list[i], $"{path}[{i}]", (bool?)items["x-kubernetes-embedded-resource"] == true, unknown);
                }

                break;
        }
    }
}
