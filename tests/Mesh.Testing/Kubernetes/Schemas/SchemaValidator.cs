using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Schemas;

/// <summary>A value against an OpenAPI v3 schema as definitions may use it. CEL rules are not evaluated here.</summary>
internal static class SchemaValidator
{
    public static List<FieldError> Validate(JsonObject schema, JsonNode? value, string path = "")
    {
        var errors = new List<FieldError>();
        Validate(schema, value, path, errors);
        return errors;
    }

    public static bool IsType(string type, JsonNode? value) => type switch
    {
        "" => true,
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "string" => Kind(value) == JsonValueKind.String,
        "boolean" => Kind(value) is JsonValueKind.True or JsonValueKind.False,
        "number" => Kind(value) == JsonValueKind.Number,
        "integer" => IsInteger(value),
        _ => false,
    };

    public static bool IsInteger(JsonNode? value) => Kind(value) == JsonValueKind.Number && Number(value) is var number && number == Math.Floor(number);

    private static void Validate(JsonObject schema, JsonNode? value, string path, List<FieldError> errors)
    {
        if (value is null)
        {
            if ((bool?)schema["nullable"] != true)
            {
                errors.Add(FieldError.Type(path, "null", $"{path} in body must be of type {schema.Text("type")}: \"null\""));
            }

            return;
        }

        var isIntOrString = (bool?)schema["x-kubernetes-int-or-string"] == true;
        if (isIntOrString ? !(IsInteger(value) || IsType("string", value)) : !IsType(schema.Text("type"), value))
        {
            var type = isIntOrString ? "integer,string" : schema.Text("type");
            errors.Add(FieldError.Type(path, TypeName(value), $"{path} in body must be of type {type}: \"{TypeName(value)}\""));
            return;
        }

        if (schema["enum"] is JsonArray allowed && !allowed.Any(a => JsonNode.DeepEquals(a, value)))
        {
            errors.Add(FieldError.NotSupported(path, value, allowed.Select(a => a?.ToJsonString(KubeJson.Options) ?? "null")));
        }

        switch (value)
        {
            case JsonObject map:
                Object(schema, map, path, errors);
                break;
            case JsonArray list:
                List(schema, list, path, errors);
                break;
            default:
                Scalar(schema, value, path, errors);
                break;
        }

        Combined(schema, value, path, errors);
    }

    private static void Object(JsonObject schema, JsonObject map, string path, List<FieldError> errors)
    {
        foreach (var name in schema.Texts("required").Where(name => !map.ContainsKey(name)))
        {
            errors.Add(FieldError.Required(Join(path, name)));
        }

        if (schema["minProperties"].Long() is { } least && map.Count < least)
        {
            errors.Add(FieldError.Invalid(path, map.Copy(), $"{path} in body should have at least {least} properties"));
        }

        if (schema["maxProperties"].Long() is { } most && map.Count > most)
        {
            errors.Add(new FieldError(path, "FieldValueTooMany", $"Too many: {map.Count}: must have at most {most} items"));
        }

        foreach (var (name, value) in map)
        {
            if (schema.At("properties", name) is JsonObject inner)
            {
                Validate(inner, value, Join(path, name), errors);
            }
            else if (schema["additionalProperties"] is JsonObject others)
            {
                Validate(others, value, Join(path, name), errors);
            }
        }
    }

    private static void List(JsonObject schema, JsonArray list, string path, List<FieldError> errors)
    {
        if (schema["minItems"].Long() is { } least && list.Count < least)
        {
            errors.Add(FieldError.Invalid(path, list.Count, $"{path} in body should have at least {least} items"));
        }

        if (schema["maxItems"].Long() is { } most && list.Count > most)
        {
            errors.Add(new FieldError(path, "FieldValueTooMany", $"Too many: {list.Count}: must have at most {most} items"));
        }

        for (var i = 0; i < list.Count; i++)
        {
            if (schema["items"] is JsonObject items)
            {
                Validate(items, list[i], $"{path}[{i}]", errors);
            }
        }

        var shape = new Ownership.SchemaShape(schema, "");
        if (shape.List != Ownership.ListMerge.Atomic)
        {
            for (var i = 0; i < list.Count; i++)
            {
                if (shape.IndexOf(list, list[i]) < i)
                {
                    errors.Add(new FieldError($"{path}[{i}]", "FieldValueDuplicate", $"Duplicate value: {(shape.List == Ownership.ListMerge.Set ? list[i]?.ToJsonString() : Ownership.FieldTree.ItemElement(shape, list[i])[2..])}"));
                }
            }
        }
    }

    private static void Scalar(JsonObject schema, JsonNode value, string path, List<FieldError> errors)
    {
        if (Kind(value) == JsonValueKind.String)
        {
            var text = value.Text();
            if (schema["minLength"].Long() is { } least && text.EnumerateRunes().Count() < least)
            {
                errors.Add(FieldError.Invalid(path, value, $"{path} in body should be at least {least} chars long"));
            }

            if (schema["maxLength"].Long() is { } most && text.EnumerateRunes().Count() > most)
            {
                errors.Add(new FieldError(path, "FieldValueTooLong", $"Too long: may not be more than {most} bytes"));
            }

            if (schema.Text("pattern") is { Length: > 0 } pattern && !Regex.IsMatch(text, pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)))
            {
                errors.Add(FieldError.Invalid(path, value, $"{path} in body should match '{pattern}'"));
            }

            if (schema.Text("format") is { Length: > 0 } format && !IsFormat(format, text))
            {
                errors.Add(FieldError.Invalid(path, value, $"{path} in body must be of type {format}: {value.ToJsonString()}"));
            }
        }
        else if (Kind(value) == JsonValueKind.Number)
        {
            Bounds(schema, Number(value), value, path, errors);
        }
    }

    private static void Bounds(JsonObject schema, double number, JsonNode value, string path, List<FieldError> errors)
    {
        if (schema["minimum"] is { } least && ((bool?)schema["exclusiveMinimum"] == true ? number <= Number(least) : number < Number(least)))
        {
            errors.Add(FieldError.Invalid(path, value, $"{path} in body should be greater than {((bool?)schema["exclusiveMinimum"] == true ? "" : "or equal to ")}{least.ToJsonString()}"));
        }

        if (schema["maximum"] is { } most && ((bool?)schema["exclusiveMaximum"] == true ? number >= Number(most) : number > Number(most)))
        {
            errors.Add(FieldError.Invalid(path, value, $"{path} in body should be less than {((bool?)schema["exclusiveMaximum"] == true ? "" : "or equal to ")}{most.ToJsonString()}"));
        }

        if (schema["multipleOf"] is { } step && number % Number(step) != 0)
        {
            errors.Add(FieldError.Invalid(path, value, $"{path} in body should be a multiple of {step.ToJsonString()}"));
        }

        if (schema.Text("format") == "int32" && number is < int.MinValue or > int.MaxValue)
        {
            errors.Add(FieldError.Invalid(path, value, $"{path} in body must be of type int32: \"number\""));
        }
    }

    private static void Combined(JsonObject schema, JsonNode value, string path, List<FieldError> errors)
    {
        foreach (var one in schema.Items("allOf").OfType<JsonObject>())
        {
            Validate(one, value, path, errors);
        }

        if (schema["anyOf"] is JsonArray any && !any.Any(one => IsValid(one, value)))
        {
            errors.Add(FieldError.Invalid(path, "", $"\"{path}\" must validate at least one schema (anyOf)"));
        }

        if (schema["oneOf"] is JsonArray oneOf && oneOf.Count(one => IsValid(one, value)) is not 1 and var count)
        {
            errors.Add(FieldError.Invalid(path, "", $"\"{path}\" must validate one and only one schema (oneOf). Found {(count == 0 ? "none valid" : $"{count} valid alternatives")}"));
        }

        if (schema["not"] is JsonObject not && IsValid(not, value))
        {
            errors.Add(FieldError.Invalid(path, "", $"\"{path}\" must not validate the schema (not)"));
        }
    }

    private static bool IsValid(JsonNode? schema, JsonNode value) => schema is JsonObject map && Validate(map, value).Count == 0;

    private static bool IsFormat(string format, string text) => format switch
    {
        "date-time" => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, out _) && text.Contains('T', StringComparison.OrdinalIgnoreCase),
        "ipv4" => System.Net.IPAddress.TryParse(text, out var ip) && ip.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork,
        "ipv6" => System.Net.IPAddress.TryParse(text, out var ip) && ip.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6,
        "cidr" => System.Net.IPNetwork.TryParse(text, out _),
        "uuid" => Guid.TryParse(text, out _),
        "uri" => Uri.TryCreate(text, UriKind.Absolute, out _),
        "byte" => Convert.TryFromBase64String(text, new byte[text.Length], out _),
        // Unknown formats are ignored, as Kubernetes ignores them.
        _ => true,
    };

    private static JsonValueKind Kind(JsonNode? value) => value?.GetValueKind() ?? JsonValueKind.Null;

    private static double Number(JsonNode? value) => double.Parse(value!.ToJsonString(), CultureInfo.InvariantCulture);

    private static string TypeName(JsonNode value) => Kind(value) switch
    {
        JsonValueKind.Object => "object",
        JsonValueKind.Array => "array",
        JsonValueKind.String => "string",
        JsonValueKind.Number => IsInteger(value) ? "integer" : "number",
        _ => "boolean",
    };

    private static string Join(string path, string name) => path == "" ? name : $"{path}.{name}";
}
