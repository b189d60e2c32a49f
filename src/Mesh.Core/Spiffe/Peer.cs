using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>The verified other end of a connection, with what its being believed rests on. Immutable.</summary>
/// <param name="Id">What its certificate certifies; null for a foreign peer that is known by another name.</param>
/// <param name="Root">Thumbprint of the root that its chain ends in.</param>
/// <param name="Serials">Serial numbers of leaf and issuers, as <see cref="TrustBundle.SerialOf"/> writes them.</param>
/// <param name="NotAfter">When the first certificate of its chain ends.</param>
internal sealed record Peer(SpiffeId? Id, string Root, IReadOnlyList<string> Serials, DateTimeOffset NotAfter)
{
    /// <param name="chain">As it was verified: leaf first, root last.</param>
    public static Peer From(SpiffeId? id, X509Chain chain)
    {
        var elements = chain.ChainElements;
        var notAfter = DateTime.MaxValue;
        var serials = new List<string>(elements.Count);
        for (var i = 0; i < elements.Count; i++)
        {
            var certificate = elements[i].Certificate;
            notAfter = certificate.NotAfter < notAfter ? certificate.NotAfter : notAfter;
            // A root is trusted or not; its serial says nothing.
            if (i == 0 || i < elements.Count - 1)
            {
                serials.Add(TrustBundle.SerialOf(certificate));
            }
        }

        return new Peer(id, elements[^1].Certificate.Thumbprint, serials, new DateTimeOffset(notAfter.ToUniversalTime()));
    }

    public override string ToString() => Id?.ToString() ?? $"certificate {Serials[0]}";
}
