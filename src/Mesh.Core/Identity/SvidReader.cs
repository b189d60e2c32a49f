using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Identity;

/// <summary>Puts a certificate that a source gave together and believes it only as far as it can be checked.</summary>
internal static class SvidReader
{
    /// <param name="leaf">With its private key.</param>
    /// <param name="others">What came with it: issuers; roots among them are left out of what peers are sent.</param>
    /// <param name="bundle">The roots that it must chain to.</param>
    /// <param name="problem">What is wrong, without a full stop: the caller says where it came from.</param>
    public static bool TryRead(
        X509Certificate2 leaf, IEnumerable<X509Certificate2> others, TrustBundle bundle, DateTimeOffset now,
        [NotNullWhen(true)] out X509Svid? svid, [NotNullWhen(false)] out string? problem)
    {
        svid = null;
        if (!SpiffeCertificate.TryReadId(leaf, out var id, out problem))
        {
            problem = problem.TrimEnd('.');
            return false;
        }

        if (id.TrustDomain != bundle.TrustDomain)
        {
            problem = $"it certifies '{id}', of another trust domain than '{bundle.TrustDomain}'";
            return false;
        }

        X509Certificate2[] issuers = [.. others.Where(certificate => !IsRoot(certificate))];
        using var chain = new X509Chain { ChainPolicy = WorkloadIdentity.CreateChainPolicy(bundle.Roots) };
        // A clock that is behind must not keep a workload from its certificate; that it has ended is another thing.
        var begins = new DateTimeOffset(leaf.NotBefore.ToUniversalTime());
        chain.ChainPolicy.VerificationTime = (now < begins ? begins : now).LocalDateTime;
        chain.ChainPolicy.ExtraStore.AddRange(issuers);
        if (!chain.Build(leaf))
        {
            problem = $"it does not chain to its root, or is not valid now: {string.Join("; ", chain.ChainStatus.Select(s => s.StatusInformation.Trim()))} (issued by '{leaf.Issuer}', valid {leaf.NotBefore.ToUniversalTime():u} to {leaf.NotAfter.ToUniversalTime():u}, our clock says {now:u})";
            return false;
        }

        svid = new X509Svid(id, leaf, issuers);
        return true;
    }

    /// <summary>It vouches for itself.</summary>
    public static bool IsRoot(X509Certificate2 certificate) => certificate.SubjectName.RawData.AsSpan().SequenceEqual(certificate.IssuerName.RawData);

    /// <summary>Each root once.</summary>
    public static List<X509Certificate2> Roots(IEnumerable<X509Certificate2> certificates) => [.. certificates.Where(IsRoot).DistinctBy(root => root.Thumbprint)];

    /// <summary>Certificates in DER, one after the other.</summary>
    /// <exception cref="CryptographicException">They are not.</exception>
    public static List<X509Certificate2> ReadDer(ReadOnlySpan<byte> der)
    {
        var certificates = new List<X509Certificate2>();
        while (!der.IsEmpty)
        {
            int length;
            try
            {
                AsnDecoder.ReadEncodedValue(der, AsnEncodingRules.DER, out _, out _, out length);
            }
            catch (AsnContentException e)
            {
                throw new CryptographicException(e.Message, e);
            }

            certificates.Add(X509CertificateLoader.LoadCertificate(der[..length]));
            der = der[length..];
        }

        return certificates;
    }

    /// <summary>The certificate with this key in PKCS #8.</summary>
    /// <exception cref="CryptographicException">The key is not one, not this certificate's, or of a kind that is not known here.</exception>
    public static X509Certificate2 WithKey(X509Certificate2 leaf, ReadOnlySpan<byte> pkcs8)
    {
        try
        {
            if (leaf.GetECDsaPublicKey() is { } ec)
            {
                ec.Dispose();
                using var key = ECDsa.Create();
                key.ImportPkcs8PrivateKey(pkcs8, out _);
                return leaf.CopyWithPrivateKey(key);
            }

            if (leaf.GetRSAPublicKey() is { } rsa)
            {
                rsa.Dispose();
                using var key = RSA.Create();
                key.ImportPkcs8PrivateKey(pkcs8, out _);
                return leaf.CopyWithPrivateKey(key);
            }
        }
        catch (ArgumentException e)
        {
            throw new CryptographicException("The private key is not that of the certificate.", e);
        }

        throw new CryptographicException($"Keys of the kind {leaf.GetKeyAlgorithm()} are not known here. Use EC or RSA.");
    }
}
