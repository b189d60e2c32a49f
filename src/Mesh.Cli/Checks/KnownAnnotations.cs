using Mesh.ControlPlane.Sources;

namespace Mesh.Cli.Checks;

/// <summary>What may stand on objects of a cluster: what users write, and what the mesh writes itself.</summary>
internal static class KnownAnnotations
{
    public const string Inject = Annotations.Domain + "/inject";

    public static readonly IReadOnlySet<string> All = new SortedSet<string>([.. Annotations.All, Inject, Annotations.Domain + "/meshed"], StringComparer.Ordinal);
}
