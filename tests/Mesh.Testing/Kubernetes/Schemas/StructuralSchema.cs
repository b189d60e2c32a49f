using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Schemas;

/// <summary>Whether a schema is structural, as apiextensions.k8s.io/v1 asks of every one.</summary>
internal static class StructuralSchema
{
    // An etcd value's limit is far above; a rule of this length is a mistake.
    private const int LongestRule = 10_000;

    private static readonly HashSet<string> Known =
    [
        "type", "format", "title", "description", "default", "nullable", "enum", "example", "externalDocs",
        "properties", "additionalProperties", "items", "required", "allOf", "anyOf", "oneOf", "not",
        "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "multipleOf", "maxLength", "minLength", "pattern",
        "maxItems", "minItems", "maxProperties", "minProperties",
        "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string",
        "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-validations",
    ];

    private static readonly string[] OutsideOnly = ["type", "description", "title", "default", "nullable", "additionalProperties",
        "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string", "x-kubernetes-list-type", "x-kubernetes-map-type", "x-kubernetes-validations"];

    public static List<FieldError> Check(JsonObject root, string path)
    {
        var errors = new List<FieldError>();
        if (root.Text("type") != "object")
        {
            errors.Add(FieldError.Invalid($"{path}.type", root.Text("type"), "must be object at the root"));
        }

        foreach (var (name, _) in root.At("properties", "metadata", "properties") as JsonObject ?? [])
        {
            if (name is not ("name" or "generateName"))
            {
                errors.Add(FieldError.Forbidden($"{path}.properties[metadata]", "must not specify anything other than name and generateName, but metadata is implicitly specified"));
            }
        }

        Check(root, path, errors);
        return errors;
    }

    private static void Check(JsonObject schema, string path, List<FieldError> errors)
    {
        Keywords(schema, path, errors);
        var type = schema.Text("type");
        var isFree = (bool?)schema["x-kubernetes-int-or-string"] == true || (bool?)schema["x-kubernetes-preserve-unknown-fields"] == true;
        if (type == "" && !isFree)
        {
            errors.Add(FieldError.Required($"{path}.type", "must not be empty for specified object fields"));
        }
        else if (type is not ("" or "object" or "array" or "string" or "integer" or "number" or "boolean"))
        {
            errors.Add(FieldError.NotSupported($"{path}.type", type, ["\"array\"", "\"boolean\"", "\"integer\"", "\"number\"", "\"object\"", "\"string\""]));
        }

        if (schema["properties"] is not null && schema["additionalProperties"] is not null)
        {
            errors.Add(FieldError.Forbidden($"{path}.additionalProperties", "additionalProperties and properties are mutual exclusive"));
        }

        if (schema["additionalProperties"] is JsonValue flag && !(bool)flag)
        {
            errors.Add(FieldError.Forbidden($"{path}.additionalProperties", "additionalProperties cannot be set to false"));
        }

        if (type == "array" && schema["items"] is not JsonObject)
        {
            errors.Add(FieldError.Required($"{path}.items", "must be specified"));
        }

        if (schema.Text("pattern") is { Length: > 0 } pattern && !IsPattern(pattern))
        {
            errors.Add(FieldError.Invalid($"{path}.pattern", pattern, "must be a valid regular expression"));
        }

        Lists(schema, path, errors);
        Rules(schema, path, errors);
        if (schema["default"] is { } value)
        {
            foreach (var error in SchemaValidator.Validate(schema, value))
            {
                errors.Add(FieldError.Invalid($"{path}.default{(error.Path == "" ? "" : "." + error.Path)}", value.DeepClone(), error.Message));
            }
        }

        foreach (var (name, inner) in schema["properties"] as JsonObject ?? [])
        {
            Inner(inner, $"{path}.properties[{name}]");
        }

        if (schema["items"] is JsonObject items)
        {
            Inner(items, $"{path}.items");
        }

        if (schema["additionalProperties"] is JsonObject others)
        {
            Inner(others, $"{path}.additionalProperties");
        }

        foreach (var (junctor, inner, where) in Junctors(schema, path))
        {
            Inside(schema, inner, where, errors, mayHavePattern: (bool?)schema["x-kubernetes-int-or-string"] == true && junctor != "not");
        }

        void Inner(JsonNode? node, string where)
        {
            if (node is JsonObject map)
            {
                Check(map, where, errors);
            }
            else
            {
                errors.Add(FieldError.Required(where, "must be a schema"));
            }
        }
    }

    /// <summary>In allOf, anyOf, oneOf and not stand only conditions, on fields that are specified outside too.</summary>
    private static void Inside(JsonObject outside, JsonObject inside, string path, List<FieldError> errors, bool mayHavePattern)
    {
        Keywords(inside, path, errors);
        foreach (var name in OutsideOnly.Where(inside.ContainsKey))
        {
            // The one pattern that is allowed: anyOf integer or string.
            if (!(mayHavePattern && name == "type"))
            {
                errors.Add(FieldError.Forbidden($"{path}.{name}", "must be undefined to be structural"));
            }
        }

        foreach (var (name, inner) in inside["properties"] as JsonObject ?? [])
        {
            if (outside.At("properties", name) is JsonObject twin)
            {
                Inside(twin, (JsonObject)inner!, $"{path}.properties[{name}]", errors, false);
            }
            else
            {
                errors.Add(FieldError.Required(path.Split(".anyOf[", 2)[0].Split(".oneOf[", 2)[0].Split(".allOf[", 2)[0].Split(".not", 2)[0] + $".properties[{name}]", $"because it is defined in {path}.properties[{name}]"));
            }
        }

        if (inside["items"] is JsonObject items)
        {
            if (outside["items"] is JsonObject twin)
            {
                Inside(twin, items, $"{path}.items", errors, false);
            }
            else
            {
                errors.Add(FieldError.Required($"{path}.items", "because it is not defined outside"));
            }
        }

        foreach (var (_, inner, where) in Junctors(inside, path))
        {
            Inside(outside, inner, where, errors, mayHavePattern);
        }
    }

    private static IEnumerable<(string Junctor, JsonObject Schema, string Path)> Junctors(JsonObject schema, string path)
    {
        foreach (var name in (string[])["allOf", "anyOf", "oneOf"])
        {
            var i = 0;
            foreach (var inner in schema.Items(name).OfType<JsonObject>())
            {
                yield return (name, inner, $"{path}.{name}[{i++}]");
            }
        }

        if (schema["not"] is JsonObject not)
        {
            yield return ("not", not, $"{path}.not");
        }
    }

    private static void Keywords(JsonObject schema, string path, List<FieldError> errors)
    {
        foreach (var (name, _) in schema.Where(p => !Known.Contains(p.Key)))
        {
            errors.Add(FieldError.Forbidden($"{path}.{name}", name switch
            {
                "uniqueItems" => "uniqueItems cannot be set to true since the runtime complexity becomes quadratic",
                "$ref" or "definitions" or "dependencies" or "patternProperties" or "additionalItems" => $"{name} is not supported",
                _ => $"unknown field \"{name}\"",
            }));
        }

        if (schema["x-kubernetes-preserve-unknown-fields"] is { } preserve && (bool?)preserve != true)
        {
            errors.Add(FieldError.Invalid($"{path}.x-kubernetes-preserve-unknown-fields", preserve.DeepClone(), "must be true or undefined"));
        }
    }

    private static void Lists(JsonObject schema, string path, List<FieldError> errors)
    {
        var (list, keys) = (schema.Text("x-kubernetes-list-type"), schema.Texts("x-kubernetes-list-map-keys").ToList());
        if (list is not ("" or "atomic" or "set" or "map"))
        {
            errors.Add(FieldError.NotSupported($"{path}.x-kubernetes-list-type", list, ["\"atomic\"", "\"set\"", "\"map\""]));
        }

        if (list == "map" != keys.Count > 0)
        {
            errors.Add(FieldError.Required($"{path}.x-kubernetes-list-map-keys", "must be set if and only if x-kubernetes-list-type is map"));
        }

        foreach (var key in keys)
        {
            var field = schema.At("items", "properties", key);
            if (field is null || field.Text("type") is "object" or "array")
            {
                errors.Add(FieldError.Invalid($"{path}.x-kubernetes-list-map-keys", key, "entries must all be names of item properties that are scalars"));
            }
            else if (!schema.Texts("items", "required").Contains(key) && field.At("default") is null)
            {
                errors.Add(FieldError.Required($"{path}.items.properties[{key}].default", "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
            }
        }
    }

    private static void Rules(JsonObject schema, string path, List<FieldError> errors)
    {
        var i = 0;
        foreach (var rule in schema.Items("x-kubernetes-validations"))
        {
            var where = $"{path}.x-kubernetes-validations[{i++}]";
            if (rule.Text("rule").Trim() == "")
            {
                errors.Add(FieldError.Required($"{where}.rule", "rule is not specified"));
            }
            else if (rule.Text("rule").Length > LongestRule)
            {
                errors.Add(FieldError.Invalid($"{where}.rule", null, $"longer than {LongestRule} characters"));
            }

            if (rule.Text("message").AsSpan().ContainsAny('\r', '\n') || (rule.Text("rule").Contains('\n', StringComparison.Ordinal) && rule.Text("message") == "" && rule.Text("messageExpression") == ""))
            {
                errors.Add(FieldError.Invalid($"{where}.message", rule.Text("message"), "must not contain line breaks, and must be specified if rule contains line breaks"));
            }

            if (rule.Text("reason") is not ("" or "FieldValueInvalid" or "FieldValueForbidden" or "FieldValueRequired" or "FieldValueDuplicate"))
            {
                errors.Add(FieldError.NotSupported($"{where}.reason", rule.Text("reason"), ["\"FieldValueInvalid\"", "\"FieldValueForbidden\"", "\"FieldValueRequired\"", "\"FieldValueDuplicate\""]));
            }
        }
    }

    private static bool IsPattern(string pattern)
    {
        try
        {
            _ = Regex.IsMatch("", pattern, RegexOptions.None, TimeSpan.FromSeconds(1));
            // RE2, which Kubernetes uses, knows neither.
            return !pattern.Contains("(?=", StringComparison.Ordinal) && !pattern.Contains("(?!", StringComparison.Ordinal) && !pattern.Contains("(?<", StringComparison.Ordinal);
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
