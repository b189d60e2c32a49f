using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>A workload's own certificate with its private key, and the chain it presents.</summary>
/// <param name="Id">The identity that the leaf certifies.</param>
/// <param name="Leaf">The leaf, with private key.</param>
/// <param name="Intermediates">What to send beside the leaf, leaf's issuer first; the root is not among them.</param>
internal sealed record X509Svid(SpiffeId Id, X509Certificate2 Leaf, IReadOnlyList<X509Certificate2> Intermediates)
{
    public DateTimeOffset NotBefore { get; } = new(Leaf.NotBefore.ToUniversalTime());

    public DateTimeOffset NotAfter { get; } = new(Leaf.NotAfter.ToUniversalTime());
}
