using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>What counts of a pod's Namespace.</summary>
internal sealed record NamespaceMeta(string Name, IReadOnlyDictionary<string, string> Labels, IReadOnlyDictionary<string, string> Annotations)
{
    public static NamespaceMeta Bare(string name) => new(name, new Dictionary<string, string>(), new Dictionary<string, string>());

    /// <param name="namespace">A Namespace as the API server tells it.</param>
    public static NamespaceMeta Of(string name, JsonObject @namespace)
    {
        var meta = @namespace.Object("metadata");
        return new(name, meta.Texts("labels"), meta.Texts("annotations"));
    }
}
