using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources.Manifests;
using YamlDotNet.Core;

namespace Mesh.ControlPlane.Install;

/// <summary>What was given for an installation, over the defaults of <see cref="InstallCatalogue"/>. Later ones replace earlier ones; a list is one value.</summary>
internal sealed class InstallValues
{
    private readonly Dictionary<string, JsonNode> _given = new(StringComparer.Ordinal);

    public bool IsHa => Flag("ha");

    public string Version => Text("version");

    /// <summary>What stands there: given, else the default; null when there is neither.</summary>
    public JsonNode? Find(string path)
    {
        var value = InstallCatalogue.Find(path) ?? throw new ArgumentException($"'{path}' is no value.", nameof(path));
        return _given.GetValueOrDefault(path) ?? (path != "ha" && IsHa ? value.HaDefault ?? value.Default : value.Default);
    }

    public string Text(string path) => Find(path)?.GetValue<string>() ?? string.Empty;

    public bool Flag(string path) => Find(path)!.GetValue<bool>();

    public long Number(string path) => long.Parse(Find(path)!.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture);

    public IReadOnlyList<string> Texts(string path) => [.. ((JsonArray)Find(path)!).Select(t => t!.GetValue<string>())];

    public JsonObject Map(string path) => (JsonObject)Find(path)!.DeepClone();

    public JsonArray Objects(string path) => (JsonArray)Find(path)!.DeepClone();

    public void Set(string path, JsonNode value) => _given[path] = value;

    /// <summary>Reads <c>path=value</c>.</summary>
    /// <returns>What is wrong, with the fix; null when nothing is.</returns>
    public string? Set(string assignment)
    {
        var at = assignment.IndexOf('=', StringComparison.Ordinal);
        if (at <= 0)
        {
            return $"'{assignment}' sets nothing. Write KEY=VALUE, such as controlPlane.replicas=3.";
        }

        var (path, text) = (assignment[..at], assignment[(at + 1)..]);
        if (InstallCatalogue.All.FirstOrDefault(v => v.Type == InstallValueType.Map && path.StartsWith(v.Path + ".", StringComparison.Ordinal)) is { } map)
        {
            var entries = Map(map.Path);
            entries[path[(map.Path.Length + 1)..]] = text;
            return Check(map, entries);
        }

        if (InstallCatalogue.Find(path) is not { } value)
        {
            return Unknown(path);
        }

        var read = value.Parse(text, out var problem);
        if (problem is not null)
        {
            return $"{path} is '{text}'. {problem}";
        }

        Set(path, read!);
        return null;
    }

    /// <summary>Reads a file of values.</summary>
    /// <returns>Everything that is wrong.</returns>
    public IReadOnlyList<string> Read(string text)
    {
        try
        {
            var problems = new List<string>();
            foreach (var document in YamlJson.Parse(text))
            {
                Read(document, string.Empty, problems);
            }

            return problems;
        }
        catch (YamlException e)
        {
            return [$"line {Math.Max(e.Start.Line, 1)}: it is no YAML: {e.Message}"];
        }
    }

    /// <summary>What was given, in the catalogue's order, as a file that gives the same again.</summary>
    public JsonObject Given()
    {
        var root = new JsonObject();
        foreach (var value in InstallCatalogue.All)
        {
            if (_given.GetValueOrDefault(value.Path) is not { } given)
            {
                continue;
            }

            var parts = value.Path.Split('.');
            var into = root;
            foreach (var part in parts[..^1])
            {
                into = (JsonObject)(into[part] ??= new JsonObject());
            }

            into[parts[^1]] = given.DeepClone();
        }

        return root;
    }

    private void Read(JsonObject from, string prefix, List<string> problems)
    {
        foreach (var (key, node) in from)
        {
            var path = prefix.Length == 0 ? key : $"{prefix}.{key}";
            var value = InstallCatalogue.Find(path);
            if (value is null && node is JsonObject inner && InstallCatalogue.All.Any(v => v.Path.StartsWith(path + ".", StringComparison.Ordinal)))
            {
                Read(inner, path, problems);
            }
            else if (value is null)
            {
                problems.Add(Unknown(path));
            }
            else if (node is not null && Check(value, node.DeepClone()) is { } problem)
            {
                problems.Add(problem);
            }
        }
    }

    private string? Check(InstallValue value, JsonNode node)
    {
        if (value.Check(node) is { } problem)
        {
            return $"{value.Path} is {(node is JsonValue ? $"'{node}'" : node is JsonArray ? "a list" : "a mapping")}. {problem}";
        }

        Set(value.Path, node);
        return null;
    }

    private static string Unknown(string path)
    {
        var known = InstallCatalogue.All.Select(v => v.Path).ToArray();
        // A part that is right leads to the others beside it; else whole paths are compared.
        var near = Suggestion.For(path, known);
        return $"'{path}' is no value.{(near.Length > 0 ? near : Suggestion.For(path[(path.LastIndexOf('.') + 1)..], known.Where(k => k.StartsWith(path[..(path.LastIndexOf('.') + 1)], StringComparison.Ordinal)).Select(k => k[(path.LastIndexOf('.') + 1)..])))}";
    }
}
