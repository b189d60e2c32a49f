using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Mesh.Testing.Kubernetes.Discovery;

/// <summary>Objects as the rows that kubectl prints: name, a definition's own columns, age.</summary>
internal static partial class TableView
{
    public static bool IsAsked(ApiRequest request) => request.Http.Request.Headers.Accept.ToString().Contains("as=Table", StringComparison.Ordinal);

    public static JsonObject Of(ApiRequest request, KubeResource resource, JsonObject json, DateTimeOffset now)
    {
        var columns = (JsonArray?)resource.VersionOf(request.Version)?["additionalPrinterColumns"]?.DeepClone()
            ?? [new JsonObject { ["name"] = "Age", ["type"] = "date", ["jsonPath"] = ".metadata.creationTimestamp" }];
        var definitions = new JsonArray(new JsonObject { ["name"] = "Name", ["type"] = "string", ["format"] = "name", ["description"] = "", ["priority"] = 0 });
        foreach (var column in columns.OfType<JsonObject>())
        {
            definitions.Add(new JsonObject { ["name"] = column.Text("name"), ["type"] = column.Text("type"), ["format"] = "", ["description"] = column.Text("description"), ["priority"] = column.At("priority").Long() ?? 0 });
        }

        var rows = json.ContainsKey("items") ? json.Items("items").OfType<JsonObject>() : json.ContainsKey("spec") || json.Name() != "" ? [json] : [];
        return new JsonObject
        {
            ["kind"] = "Table",
            ["apiVersion"] = "meta.k8s.io/v1",
            ["metadata"] = json.ContainsKey("items") ? json["metadata"]?.DeepClone() : new JsonObject { ["resourceVersion"] = json.Text("metadata", "resourceVersion") },
            ["columnDefinitions"] = definitions,
            ["rows"] = new JsonArray([.. rows.Select(row => Row(request, row, columns, now))]),
        };
    }

    private static JsonObject Row(ApiRequest request, JsonObject json, JsonArray columns, DateTimeOffset now)
    {
        var cells = new JsonArray(json.Name());
        foreach (var column in columns)
        {
            var value = Find(json, column.Text("jsonPath"));
            cells.Add(column.Text("type") == "date" ? value.Text() is { Length: > 0 } time ? Age(now - DateTimeOffset.Parse(time, System.Globalization.CultureInfo.InvariantCulture)) : "<unknown>" : value?.DeepClone());
        }

        var metadata = new JsonObject { ["kind"] = "PartialObjectMetadata", ["apiVersion"] = "meta.k8s.io/v1", ["metadata"] = json["metadata"]?.DeepClone() };
        return new JsonObject { ["cells"] = cells, ["object"] = request["includeObject"] switch { "None" => null, "Object" => json.Copy(), _ => metadata } };
    }

    private static string Age(TimeSpan age) => age switch
    {
        { TotalMinutes: < 2 } => $"{(int)age.TotalSeconds}s",
        { TotalHours: < 2 } => $"{(int)age.TotalMinutes}m",
        { TotalDays: < 2 } => $"{(int)age.TotalHours}h",
        _ => $"{(int)age.TotalDays}d",
    };

    /// <summary>.a.b, .a[0], .a[?(@.type=="x")].b</summary>
    private static JsonNode? Find(JsonNode? node, string path)
    {
        foreach (Match step in Step().Matches(path))
        {
            node = step.Groups["name"].Success ? node.At(step.Groups["name"].Value.Replace("\\.", ".", StringComparison.Ordinal))
                : step.Groups["index"].Success ? (node as JsonArray)?.ElementAtOrDefault(int.Parse(step.Groups["index"].Value, System.Globalization.CultureInfo.InvariantCulture))
                : node.Items().FirstOrDefault(item => item.Text(step.Groups["key"].Value) == step.Groups["value"].Value);
        }

        return node;
    }

    [GeneratedRegex("""\.(?<name>(?:[^.\[\\]|\\.)+)|\[(?<index>[0-9]+)\]|\[\?\(@\.(?<key>\w+)\s*==\s*["'](?<value>[^"']*)["']\)\]""")]
    private static partial Regex Step();
}
