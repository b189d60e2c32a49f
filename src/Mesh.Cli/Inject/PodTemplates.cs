using YamlDotNet.RepresentationModel;

namespace Mesh.Cli.Inject;

/// <summary>Finds the pods that manifests describe.</summary>
internal static class PodTemplates
{
    private static readonly Dictionary<string, (string Version, string[] Path)> Kinds = new(StringComparer.Ordinal)
    {
        ["Pod"] = ("v1", []),
        ["ReplicationController"] = ("v1", ["spec", "template"]),
        ["Deployment"] = ("apps/v1", ["spec", "template"]),
        ["ReplicaSet"] = ("apps/v1", ["spec", "template"]),
        ["StatefulSet"] = ("apps/v1", ["spec", "template"]),
        ["DaemonSet"] = ("apps/v1", ["spec", "template"]),
        ["Job"] = ("batch/v1", ["spec", "template"]),
        ["CronJob"] = ("batch/v1", ["spec", "jobTemplate", "spec", "template"]),
    };

    /// <summary>The objects of a document: itself, or what a List holds.</summary>
    public static IEnumerable<YamlMappingNode> Objects(YamlNode root)
    {
        if (root is not YamlMappingNode map)
        {
            yield break;
        }

        if (Text(map, "kind") == "List" && Child(map, "items") is YamlSequenceNode items)
        {
            foreach (var item in items.Children.OfType<YamlMappingNode>())
            {
                yield return item;
            }
        }
        else
        {
            yield return map;
        }
    }

    /// <returns>What has metadata and spec of the pod; null when the object is no workload.</returns>
    public static YamlMappingNode? Find(YamlMappingNode manifest)
    {
        if (Text(manifest, "kind") is not { } kind || !Kinds.TryGetValue(kind, out var known) || Text(manifest, "apiVersion") != known.Version)
        {
            return null;
        }

        YamlNode? at = manifest;
        foreach (var name in known.Path)
        {
            at = at is YamlMappingNode map ? Child(map, name) : null;
        }

        return at as YamlMappingNode;
    }

    public static string? Text(YamlMappingNode? map, string key) => map is null ? null : (Child(map, key) as YamlScalarNode)?.Value;

    public static YamlNode? Child(YamlMappingNode map, string key) => map.Children.TryGetValue(new YamlScalarNode(key), out var value) ? value : null;
}
