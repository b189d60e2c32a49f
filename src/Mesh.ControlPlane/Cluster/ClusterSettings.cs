using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Which cluster, and who we are in it.</summary>
/// <param name="Namespace">Where the control plane's own objects are.</param>
/// <param name="Pod">The name of this replica: of its Pod.</param>
internal sealed record ClusterSettings(KubeApi Api, string Namespace, string Pod)
{
    /// <summary>The Secret with an operator's issuer.</summary>
    public string IssuerSecret { get; init; } = ClusterNames.IssuerSecret;

    /// <summary>It must be there: an own authority is made in no case.</summary>
    public bool IssuerRequired { get; init; }
}
