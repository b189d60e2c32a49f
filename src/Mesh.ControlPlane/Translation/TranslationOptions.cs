using Mesh.Spiffe;

namespace Mesh.ControlPlane.Translation;

/// <param name="ClusterDomain">The end of full service names; default <c>cluster.local</c>.</param>
internal sealed record TranslationOptions(TrustDomain TrustDomain, string ClusterDomain);
