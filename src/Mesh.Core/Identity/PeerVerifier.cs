using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Decides whether the other end of a TLS connection is who it must be: chain to our bundle, then the SPIFFE ID.</summary>
internal static class PeerVerifier
{
    /// <param name="expected">The only identity to accept; null accepts every identity of the bundle's trust domain.</param>
    /// <param name="errors">What SslStream found with the bundle's chain policy; the host name is not a SPIFFE peer's business.</param>
    public static bool TryVerify(
        TrustBundle bundle, X509Certificate? certificate, SslPolicyErrors errors, SpiffeId? expected,
        [NotNullWhen(true)] out SpiffeId? id, [NotNullWhen(false)] out string? problem)
    {
        id = null;
        if (certificate is not X509Certificate2 leaf)
        {
            problem = "The peer sent no certificate.";
            return false;
        }

        if ((errors & SslPolicyErrors.RemoteCertificateChainErrors) != 0)
        {
            problem = $"The certificate of '{leaf.Subject}' does not chain to the trust bundle of '{bundle.TrustDomain}', or is not valid now (valid {leaf.NotBefore:u} to {leaf.NotAfter:u}).";
            return false;
        }

        if (!SpiffeCertificate.TryReadId(leaf, out id, out problem))
        {
            return false;
        }

        if (id.TrustDomain != bundle.TrustDomain)
        {
            problem = $"The peer is '{id}', of another trust domain than '{bundle.TrustDomain}'.";
            id = null;
            return false;
        }

        if (expected is not null && id != expected)
        {
            problem = $"The peer is '{id}', expected '{expected}'.";
            id = null;
            return false;
        }

        return true;
    }
}
