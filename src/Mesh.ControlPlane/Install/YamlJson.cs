using System.Globalization;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Install;

/// <summary>YAML as Kubernetes reads it (YAML to JSON), and JSON written as YAML that reads back the same.</summary>
internal static class YamlJson
{
    /// <summary>The documents of a text that are objects; empty ones are left out.</summary>
    /// <exception cref="YamlException">It is no YAML, or a document is no object.</exception>
    public static IReadOnlyList<JsonObject> Parse(string text)
    {
        var yaml = new YamlStream();
        try
        {
            yaml.Load(new StringReader(text));
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            throw new YamlException(e.Message, e);
        }

        var objects = new List<JsonObject>();
        foreach (var document in yaml.Documents)
        {
            if (document.RootNode is YamlScalarNode { Value: null or "" })
            {
                continue;
            }

            objects.Add(Convert(document.RootNode, 0) as JsonObject
                ?? throw new YamlException(document.RootNode.Start, document.RootNode.End, "The document is no mapping: write 'name: value' lines."));
        }

        return objects;
    }

    /// <exception cref="YamlException">It is nested too deep, or a key is no text.</exception>
    public static JsonNode? Of(YamlNode node) => Convert(node, 0);

    /// <summary>One value, such as <c>--set</c> has it.</summary>
    public static JsonNode? Scalar(string text) => Convert(new YamlScalarNode(text) { Style = ScalarStyle.Plain }, 0);

    public static string Write(JsonNode? node)
    {
        var text = new StringWriter(CultureInfo.InvariantCulture) { NewLine = "\n" };
        new YamlTextWriter(text).Write(node);
        return text.ToString();
    }

    private static JsonNode? Convert(YamlNode node, int depth)
    {
        const int MaxDepth = 64;
        if (depth > MaxDepth)
        {
            throw new YamlException(node.Start, node.End, $"It is nested deeper than {MaxDepth} levels.");
        }

        switch (node)
        {
            case YamlMappingNode map:
                var result = new JsonObject();
                foreach (var (key, value) in map.Children)
                {
                    if (key is not YamlScalarNode { Value: { } name })
                    {
                        throw new YamlException(key.Start, key.End, "A key is no text.");
                    }

                    result[name] = Convert(value, depth + 1);
                }

                return result;
            case YamlSequenceNode list:
                return new JsonArray([.. list.Children.Select(item => Convert(item, depth + 1))]);
            default:
                var scalar = (YamlScalarNode)node;
                return scalar.Style == ScalarStyle.Plain ? Plain(scalar.Value ?? string.Empty) : JsonValue.Create(scalar.Value);
        }
    }

    /// <summary>YAML's core schema, which is what Kubernetes' reader knows of a plain scalar.</summary>
    private static JsonValue? Plain(string text) => text switch
    {
        "" or "~" or "null" or "Null" or "NULL" => null,
        "true" or "True" or "TRUE" => JsonValue.Create(true),
        "false" or "False" or "FALSE" => JsonValue.Create(false),
        // A file's mode: YAML 1.1, which Kubernetes reads, takes it for octal.
        _ when text.Length is > 1 and < 20 && text[0] == '0' && text.All(c => c is >= '0' and <= '7') => JsonValue.Create(System.Convert.ToInt64(text, 8)),
        _ when long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) => JsonValue.Create(whole),
        _ when (char.IsAsciiDigit(text[0]) || text[0] is '-' or '+' or '.')
            && double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) => JsonValue.Create(number),
        _ => JsonValue.Create(text),
    };
}
