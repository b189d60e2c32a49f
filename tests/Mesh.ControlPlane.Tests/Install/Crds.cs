using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Manifests;
using Mesh.ControlPlane.Sources.Manifests.Policies;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Tests.Install;

/// <summary>The definitions of deploy/crds, by kind.</summary>
internal static class Crds
{
    public static readonly Dictionary<string, JsonObject> ByKind = DeployFiles.Crds.ToDictionary(c => c["spec"]!["names"]!["kind"]!.GetValue<string>());

    public static JsonObject Schema(string kind) => ByKind[kind]["spec"]!["versions"]![0]!["schema"]!["openAPIV3Schema"]!.AsObject();

    /// <summary>Every schema below, with its path; items as <c>[]</c>.</summary>
    public static IEnumerable<(string Path, JsonObject Schema)> Walk(JsonObject schema, string path = "")
    {
        yield return (path, schema);
        foreach (var (name, field) in schema["properties"] as JsonObject ?? [])
        {
            foreach (var inner in Walk((JsonObject)field!, path.Length == 0 ? name : $"{path}.{name}"))
            {
                yield return inner;
            }
        }

        foreach (var inner in schema["items"] is JsonObject items ? Walk(items, path + "[]") : [])
        {
            yield return inner;
        }
    }

    /// <summary>What the reader says of a document; empty: it takes it.</summary>
    public static IReadOnlyList<string> Refusals(string yaml) => [.. ManifestParser.Parse("in.yaml", yaml).SelectMany(d => d.Problems.All).Where(p => p.Refuses).Select(p => p.Problem.What)];

    /// <summary>The fields that a kind's reader asks for when every object and list of objects of the schema is there.</summary>
    public static HashSet<string> Asked(string kind)
    {
        var asked = new HashSet<string>(StringComparer.Ordinal);
        var problems = new ProblemList("in.yaml") { Asked = path => asked.Add(System.Text.RegularExpressions.Regex.Replace(path, @"\[\d+\]", "[]")) };
        var spec = Skeleton((JsonObject)Schema(kind)["properties"]!["spec"]!);
        var root = new YamlMap(ManifestNode.Of(new YamlMappingNode(new YamlScalarNode("spec"), spec)), string.Empty, problems);
        var key = new ManifestKey(kind, "shop", "x");
        var meta = new ObjectMeta(ImmutableSortedDictionary<string, string>.Empty, ImmutableSortedDictionary<string, string>.Empty, null);
        _ = PolicyKinds.Find(kind) is { } policy ? PolicyReader.Of(policy)(root, key, meta) : DirectResponseReader.Read(root, key, meta);
        return asked;
    }

    private static YamlMappingNode Skeleton(JsonObject schema)
    {
        var map = new YamlMappingNode();
        foreach (var (name, field) in schema["properties"] as JsonObject ?? [])
        {
            if (field!["type"]!.GetValue<string>() == "object")
            {
                map.Add(name, Skeleton((JsonObject)field));
            }
            else if (field["items"] is JsonObject items && items["type"]!.GetValue<string>() == "object")
            {
                map.Add(name, new YamlSequenceNode(Skeleton(items)));
            }
        }

        return map;
    }
}
