using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>The roots that vouch for a trust domain. Immutable.</summary>
internal sealed record TrustBundle(TrustDomain TrustDomain, IReadOnlyList<X509Certificate2> Roots);
