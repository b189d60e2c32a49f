using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Install;

/// <summary>What a value may be.</summary>
internal enum InstallValueType
{
    Text,
    Number,
    Flag,

    /// <summary>A list of texts; after <c>--set</c> with commas.</summary>
    Texts,

    /// <summary>Names and texts; after <c>--set</c> one by one.</summary>
    Map,

    /// <summary>A list of objects as Kubernetes has them; from a file only.</summary>
    Objects,
}

/// <summary>One thing that can be set when the mesh is installed.</summary>
/// <param name="Path">Such as <c>controlPlane.replicas</c>.</param>
/// <param name="Default">Null: nothing, and no one default can be named.</param>
internal sealed record InstallValue(string Path, InstallValueType Type, JsonNode? Default, string Description)
{
    /// <summary>With <c>ha: true</c>; null: as without.</summary>
    public JsonNode? HaDefault { get; init; }

    /// <summary>Why a text or number can't be used, with the fix; null when it can. Of lists and maps each text is asked for.</summary>
    public Func<string, string?>? Problem { get; init; }

    /// <summary>Reads what stands after <c>--set path=</c>.</summary>
    public JsonNode? Parse(string text, out string? problem)
    {
        JsonNode? value = Type switch
        {
            InstallValueType.Number => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? JsonValue.Create(number) : JsonValue.Create(text),
            InstallValueType.Flag => text is "true" or "false" ? JsonValue.Create(text == "true") : JsonValue.Create(text),
            InstallValueType.Texts => new JsonArray([.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(t => (JsonNode)JsonValue.Create(t))]),
            InstallValueType.Map or InstallValueType.Objects => null,
            _ => JsonValue.Create(text),
        };
        problem = value is null ? "Give it in a file (-f values.yaml)." : Check(value);
        return value;
    }

    /// <summary>Why a value can't be used, with the fix; null when it can.</summary>
    public string? Check(JsonNode value) => (Type, value) switch
    {
        (InstallValueType.Text, JsonValue) => value.GetValueKind() == JsonValueKind.String ? Problem?.Invoke(value.GetValue<string>()) : "Use a text: put it in quotes.",
        (InstallValueType.Number, JsonValue) => Whole(value) is { } number ? Problem?.Invoke(number.ToString(CultureInfo.InvariantCulture)) : "Use a whole number without quotes.",
        (InstallValueType.Flag, JsonValue) => value.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? null : "Use true or false.",
        (InstallValueType.Texts, JsonArray list) => list.All(IsText) ? Each(list.Select(t => t!.GetValue<string>())) : "Use a list of texts.",
        (InstallValueType.Map, JsonObject map) => map.All(p => IsText(p.Value)) ? Each(map.Select(p => p.Value!.GetValue<string>())) : "Use texts: put numbers and true or false in quotes.",
        (InstallValueType.Objects, JsonArray objects) => objects.All(o => o is JsonObject) ? null : "Use a list of objects.",
        (InstallValueType.Texts or InstallValueType.Objects, _) => "Use a list.",
        (InstallValueType.Map, _) => "Use fields below it ('name: value').",
        _ => $"Use a {Type.ToString().ToLowerInvariant()}, not fields or a list.",
    };

    private string? Each(IEnumerable<string> texts) => texts.Select(t => Problem?.Invoke(t) is { } problem ? $"It has '{t}'. {problem}" : null).FirstOrDefault(p => p is not null);

    private static bool IsText(JsonNode? node) => node?.GetValueKind() == JsonValueKind.String;

    private static long? Whole(JsonNode value) =>
        value.GetValueKind() == JsonValueKind.Number && long.TryParse(value.ToJsonString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;
}
