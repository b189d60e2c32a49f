using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;

namespace Mesh.Cli.Output;

/// <summary>Data for programs: one JSON array, one YAML sequence, or an object a line.</summary>
internal static class DataForm
{
    private static readonly JsonSerializerOptions _line = new(ControlPlaneApi.Json) { WriteIndented = false };

    /// <returns>False: it is a form for people.</returns>
    public static async Task<bool> WriteAsync(TextWriter output, string form, IEnumerable<JsonNode> items)
    {
        switch (form)
        {
            case "json":
                await output.WriteLineAsync(new JsonArray([.. items.Select(i => i.DeepClone())]).ToJsonString(ControlPlaneApi.Json));
                return true;
            case "yaml":
                await output.WriteAsync(YamlJson.Write(new JsonArray([.. items.Select(i => i.DeepClone())])));
                return true;
            case "jsonl":
                foreach (var item in items)
                {
                    await output.WriteLineAsync(item.ToJsonString(_line));
                }

                return true;
            default:
                return false;
        }
    }

    /// <summary>One document, as it came.</summary>
    /// <param name="lines">What <c>jsonl</c> shows of it, an object a line.</param>
    /// <returns>False: it is a form for people.</returns>
    public static async Task<bool> WriteAsync(TextWriter output, string form, JsonNode document, IEnumerable<JsonNode> lines)
    {
        switch (form)
        {
            case "json":
                await output.WriteLineAsync(document.ToJsonString(ControlPlaneApi.Json));
                return true;
            case "yaml":
                await output.WriteAsync(YamlJson.Write(document));
                return true;
            default:
                return form == "jsonl" && await WriteAsync(output, form, lines);
        }
    }
}
