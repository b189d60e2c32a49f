using System.Text.Json;
using System.Text.Json.Nodes;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>One value of a manifest, as it stands: in a YAML file or in the API server's JSON. Nothing is copied, so of a large object only what is asked for costs.</summary>
internal readonly struct ManifestNode
{
    /// <summary>A YamlNode, a JsonNode, or the text of a JSON object's key.</summary>
    private readonly object _node;

    private ManifestNode(object node) => _node = node;

    public static ManifestNode Of(YamlNode node) => new(node);

    public static ManifestNode Of(JsonNode node) => new(node);

    public bool IsMap => _node is YamlMappingNode or JsonObject;

    public bool IsList => _node is YamlSequenceNode or JsonArray;

    public bool IsScalar => !IsMap && !IsList;

    /// <summary>Of a scalar: what is written; null otherwise.</summary>
    public string? Value => _node switch
    {
        YamlScalarNode scalar => scalar.Value,
        JsonValue value => value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : value.ToJsonString(),
        string key => key,
        _ => null,
    };

    /// <summary>Of a scalar that stands without quotes and may be a number or a boolean; null otherwise.</summary>
    public string? Plain => _node switch
    {
        YamlScalarNode { Style: ScalarStyle.Plain } scalar => scalar.Value ?? string.Empty,
        JsonValue value when value.GetValueKind() != JsonValueKind.String => value.ToJsonString(),
        _ => null,
    };

    /// <summary>Absent, or as good as.</summary>
    public bool IsNull => _node is YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" or "Null" or "NULL" };

    /// <summary>In its file, from 1; 0 where there is no file.</summary>
    public long Line => _node is YamlNode yaml ? yaml.Start.Line : 0;

    /// <summary>Of a list; else none.</summary>
    public IEnumerable<ManifestNode> Items => _node switch
    {
        YamlSequenceNode list => list.Children.Select(Of),
        // An item that is null is of no use, and says so as an empty text.
        JsonArray list => list.Select(i => i is null ? new ManifestNode(string.Empty) : Of(i)),
        _ => [],
    };

    public int Count => _node switch { YamlSequenceNode list => list.Children.Count, JsonArray list => list.Count, _ => 0 };

    /// <summary>Of a mapping, with where each key stands; else none.</summary>
    public IEnumerable<(ManifestNode Key, ManifestNode Value)> Fields => _node switch
    {
        YamlMappingNode map => map.Children.Select(c => (Of(c.Key), Of(c.Value))),
        JsonObject map => map.Where(c => c.Value is not null).Select(c => (new ManifestNode(c.Key), Of(c.Value!))),
        _ => [],
    };

    /// <summary>The value under a key of a mapping; null when it is absent or <c>null</c>.</summary>
    public ManifestNode? Find(string key) => _node switch
    {
        YamlMappingNode map when map.Children.TryGetValue(new YamlScalarNode(key), out var value) && Of(value) is { IsNull: false } found => found,
        JsonObject map when map.TryGetPropertyValue(key, out var value) && value is not null => Of(value),
        _ => null,
    };
}
