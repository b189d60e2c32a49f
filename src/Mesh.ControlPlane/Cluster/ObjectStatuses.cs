using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Cluster;

/// <summary>What routes and policies of a cluster shall say of themselves. Pure: the same model gives the same.</summary>
internal static class ObjectStatuses
{
    /// <summary>In the order of their paths; nothing of objects that came from files.</summary>
    public static IReadOnlyList<ObjectStatus> StatusOf(MeshModel model) =>
    [
        .. PolicyObjectStatus.Of(model).Concat(RouteObjectStatus.Of(model)).OrderBy(s => s.ResourcePath, StringComparer.Ordinal),
    ];
}
