using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Which cluster, and who we are in it.</summary>
/// <param name="Namespace">Where the control plane's own objects are.</param>
/// <param name="Pod">The name of this replica: of its Pod.</param>
/// <param name="IssuerSecret">The Secret with an operator's issuer.</param>
/// <param name="IssuerRequired">It must be there: an own authority is made in no case.</param>
internal sealed record ClusterSettings(KubeApi Api, string Namespace, string Pod, string IssuerSecret, bool IssuerRequired)
{
    public static ClusterSettings Of(MeshControlPlaneOptions options, KubeApi api) => new(
        api, options.SystemNamespace ?? KubeApi.OwnNamespace() ?? "mesh-system", (options.ReplicaName ?? Environment.GetEnvironmentVariable("POD_NAME") ?? Environment.MachineName).ToLowerInvariant(),
        options.IssuerSecret ?? ClusterNames.IssuerSecret, options.IssuerSecret is not null);
}
