namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a Namespace (v1): what it says of all that is in it. It needs nothing but its metadata.</summary>
internal static class NamespaceReader
{
    public const string Kind = "Namespace";

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        root.Ignore("spec");
        return new NamespaceManifest(key, root.Where, meta.TapDisabled);
    }
}
