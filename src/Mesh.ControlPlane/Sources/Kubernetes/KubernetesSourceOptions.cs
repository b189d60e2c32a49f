using Mesh.Spiffe;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>What an operator sets for the cluster as a source.</summary>
internal sealed record KubernetesSourceOptions
{
    public required TrustDomain TrustDomain { get; init; }

    /// <summary>A model is made when nothing has changed for so long.</summary>
    public TimeSpan Quiet { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Or when the first change has waited for so long.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>How often host names are looked up (ExternalName, <c>addressType: FQDN</c>).</summary>
    public TimeSpan ResolveInterval { get; init; } = TimeSpan.FromSeconds(5);
}
