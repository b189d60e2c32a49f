using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Mesh.ControlPlane.Model;
using Microsoft.AspNetCore.Http.Json;
using Microsoft.AspNetCore.Mvc.ApiExplorer;
using Microsoft.AspNetCore.Mvc.ModelBinding;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Api;

/// <summary>The API as OpenAPI 3.1, made of the routes themselves: none can be missing. Thread-safe.</summary>
internal sealed class OpenApiDocument(IApiDescriptionGroupCollectionProvider routes, IOptions<JsonOptions> json)
{
    private static readonly JsonSchemaExporterOptions Schemas = new() { TreatNullObliviousAsNonNullable = true };
    private readonly Lock _lock = new();
    private JsonObject? _document;

    public static void Map(IEndpointRouteBuilder api) => api.MapGet("/v1/openapi.json", (OpenApiDocument document) => document.Read());

    /// <summary>A copy: whoever asks may change it.</summary>
    public JsonObject Read()
    {
        lock (_lock)
        {
            return (JsonObject)(_document ??= Make()).DeepClone();
        }
    }

    private JsonObject Make()
    {
        var (paths, schemas) = (new JsonObject(), new JsonObject());
        foreach (var route in routes.ApiDescriptionGroups.Items.SelectMany(g => g.Items).Where(r => r.RelativePath?.StartsWith(ApiGate.Root[1..] + "/", StringComparison.Ordinal) == true)
            .OrderBy(r => r.RelativePath, StringComparer.Ordinal).ThenBy(r => r.HttpMethod, StringComparer.Ordinal))
        {
            var path = "/" + route.RelativePath;
            paths[path] ??= new JsonObject();
            paths[path]![route.HttpMethod!.ToLowerInvariant()] = Operation(route, path, schemas);
        }

        schemas["Problem"] = new JsonObject
        {
            ["type"] = "object",
            ["description"] = "RFC 9457; detail says how to mend it.",
            ["properties"] = new JsonObject { ["type"] = Typed("string"), ["title"] = Typed("string"), ["status"] = Typed("integer"), ["detail"] = Typed("string") },
        };
        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject { ["title"] = "Mesh control plane", ["version"] = BuildVersion.Text },
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["securitySchemes"] = new JsonObject
                {
                    ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" },
                    ["header"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = ApiGate.TokenHeader },
                },
            },
            ["security"] = new JsonArray(new JsonObject { ["bearer"] = new JsonArray() }, new JsonObject { ["header"] = new JsonArray() }),
        };
    }

    private JsonObject Operation(ApiDescription route, string path, JsonObject schemas)
    {
        var right = route.ActionDescriptor.EndpointMetadata.OfType<NeedsRight>().LastOrDefault()?.Right ?? NeedsRight.Of(null, route.HttpMethod!);
        var operation = new JsonObject
        {
            ["operationId"] = Id(route.HttpMethod!, path),
            ["description"] = $"Takes the right to {right.ToString().ToLowerInvariant()}.",
            ["x-right"] = right.ToString().ToLowerInvariant(),
        };
        JsonArray parameters =
        [
            .. route.ParameterDescriptions.Where(p => p.Source == BindingSource.Path).Select(p => Parameter(p.Name, "path", isRequired: true)),
            // What a record's property takes is read in any case, and written as all else is.
            .. route.ParameterDescriptions.Where(p => p.Source == BindingSource.Query)
                .Select(p => Parameter(JsonNamingPolicy.SnakeCaseLower.ConvertName(p.Name), "query", p.IsRequired, p.Type is { IsArray: true } ? new JsonObject { ["type"] = "array", ["items"] = Typed("string") } : null)),
            .. route.ActionDescriptor.EndpointMetadata.OfType<TakesQuery>().SelectMany(t => t.Names).Select(n => Parameter(n, "query")),
        ];
        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }

        if (route.ParameterDescriptions.FirstOrDefault(p => p.Source == BindingSource.Body) is { Type: { } body })
        {
            operation["requestBody"] = new JsonObject { ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = Schema(body, schemas) } } };
        }

        var responses = new JsonObject();
        foreach (var response in route.SupportedResponseTypes.Where(r => r.StatusCode is >= 200 and < 300))
        {
            responses[response.StatusCode.ToString(System.Globalization.CultureInfo.InvariantCulture)] = Response(response, schemas);
        }

        if (responses.Count == 0)
        {
            responses["200"] = new JsonObject { ["description"] = "What was asked for." };
        }

        responses["default"] = new JsonObject
        {
            ["description"] = "Refused.",
            ["content"] = new JsonObject { ["application/problem+json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = "#/components/schemas/Problem" } } },
        };
        operation["responses"] = responses;
        return operation;
    }

    private static JsonObject Parameter(string name, string where, bool isRequired = false, JsonObject? schema = null) =>
        new() { ["name"] = name, ["in"] = where, ["required"] = isRequired, ["schema"] = schema ?? Typed("string") };

    private JsonObject Response(ApiResponseType response, JsonObject schemas)
    {
        var answer = new JsonObject { ["description"] = response.StatusCode == 204 ? "Done." : "What was asked for." };
        var content = new JsonObject();
        foreach (var format in response.ApiResponseFormats.Select(f => f.MediaType).DefaultIfEmpty("application/json"))
        {
            content[format] = response.Type is null || response.Type == typeof(void) || !format.EndsWith("json", StringComparison.Ordinal) ? new JsonObject() : new JsonObject { ["schema"] = Schema(response.Type, schemas) };
        }

        if (response.StatusCode != 204)
        {
            answer["content"] = content;
        }

        return answer;
    }

    /// <summary>Types with a name stand once, under it; arrays and what has no name where they are used.</summary>
    private JsonNode Schema(Type type, JsonObject schemas)
    {
        if (ItemOf(type) is { } item)
        {
            return new JsonObject { ["type"] = "array", ["items"] = Schema(item, schemas) };
        }

        if (typeof(JsonNode).IsAssignableFrom(type) || type == typeof(object))
        {
            return new JsonObject();
        }

        var named = !type.IsGenericType && !type.Name.Contains('<', StringComparison.Ordinal) && !type.IsPrimitive && type != typeof(string);
        if (!named)
        {
            return json.Value.SerializerOptions.GetJsonSchemaAsNode(type, Schemas);
        }

        if (!schemas.ContainsKey(type.Name))
        {
            schemas[type.Name] = new JsonObject();
            var schema = json.Value.SerializerOptions.GetJsonSchemaAsNode(type, Schemas);
            Root(schema, $"#/components/schemas/{type.Name}");
            // Of the type itself, which an answer always has; that it may be null is said of whoever has it.
            if (schema is JsonObject { } o && o["type"] is JsonArray)
            {
                o["type"] = "object";
            }

            schemas[type.Name] = schema;
        }

        return new JsonObject { ["$ref"] = $"#/components/schemas/{type.Name}" };
    }

    /// <summary>A schema refers to places of its own from its root: that is no longer the document's. And what may be null may be left out.</summary>
    private static void Root(JsonNode? node, string root)
    {
        switch (node)
        {
            case JsonObject map:
                if (map["required"] is JsonArray required && map["properties"] is JsonObject properties)
                {
                    map["required"] = new JsonArray([.. required.Select(r => r!.GetValue<string>()).Where(r => !MayBeNull(properties[r])).Select(r => (JsonNode)r)]);
                }

                if (map["$ref"] is JsonValue reference && reference.GetValue<string>() is ['#', .. var rest])
                {
                    map["$ref"] = root + rest;
                }

                foreach (var child in map.Select(m => m.Value).ToList())
                {
                    Root(child, root);
                }

                break;
            case JsonArray list:
                foreach (var child in list)
                {
                    Root(child, root);
                }

                break;
            default:
                break;
        }
    }

    private static bool MayBeNull(JsonNode? schema) => schema is JsonObject map && (
        (map["type"] is JsonArray types && types.Any(t => t!.GetValue<string>() == "null")) || (map["enum"] is JsonArray values && values.Any(v => v is null)));

    private static Type? ItemOf(Type type) =>
        type == typeof(string) || typeof(JsonNode).IsAssignableFrom(type) ? null
        : type.IsArray ? type.GetElementType()
        : type.GetInterfaces().Append(type).Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>)) ? null
        : type.GetInterfaces().Append(type).FirstOrDefault(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IEnumerable<>))?.GetGenericArguments()[0];

    private static string Id(string method, string path) =>
        string.Concat(path.Split('/', StringSplitOptions.RemoveEmptyEntries).Skip(2).Prepend(method.ToLowerInvariant()).Select(w => w.Trim('{', '}').Replace('.', '_')).Select((w, i) => i == 0 ? w : $"_{w}"));

    private static JsonObject Typed(string type) => new() { ["type"] = type };
}
