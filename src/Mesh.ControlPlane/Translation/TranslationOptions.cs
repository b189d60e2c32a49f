using Mesh.ControlPlane.Model.Policies;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Translation;

/// <param name="ClusterDomain">The end of full service names; default <c>cluster.local</c>.</param>
internal sealed record TranslationOptions(TrustDomain TrustDomain, string ClusterDomain)
{
    /// <summary>What holds where no ServerPolicy speaks.</summary>
    public ServerDefaults Defaults { get; init; } = ServerDefaults.Default;
}
