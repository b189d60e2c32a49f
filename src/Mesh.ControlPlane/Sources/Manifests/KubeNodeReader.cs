namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a Node (v1): where it stands, by its well-known labels. It needs nothing but its metadata.</summary>
internal static class KubeNodeReader
{
    public const string Kind = "Node";
    private const string ZoneLabel = "topology.kubernetes.io/zone";
    private const string RegionLabel = "topology.kubernetes.io/region";

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        root.Ignore("spec");
        return new NodeManifest(key, root.Where, meta.Labels.GetValueOrDefault(RegionLabel, string.Empty), meta.Labels.GetValueOrDefault(ZoneLabel, string.Empty));
    }
}
