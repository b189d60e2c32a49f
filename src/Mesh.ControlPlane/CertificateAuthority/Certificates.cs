using System.Security.Cryptography;
using Org.BouncyCastle.Asn1;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.X509.Extension;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What is read off certificates.</summary>
internal static class Certificates
{
    /// <summary>Of a serial number: RFC 5280 §4.1.2.2 has 20 octets.</summary>
    public const int MaxSerialDigits = 40;

    /// <summary>A short name for a certificate, the same for everyone: the start of its SHA-256.</summary>
    public static string Id(X509Certificate certificate) => Convert.ToHexStringLower(SHA256.HashData(certificate.GetEncoded()).AsSpan(0, 8));

    public static DateTimeOffset NotBefore(X509Certificate certificate) => new(DateTime.SpecifyKind(certificate.NotBefore, DateTimeKind.Utc));

    public static DateTimeOffset NotAfter(X509Certificate certificate) => new(DateTime.SpecifyKind(certificate.NotAfter, DateTimeKind.Utc));

    public static string Serial(X509Certificate certificate) => certificate.SerialNumber.ToString(16);

    /// <summary>A serial number as it stands in the issuance log and on the wire: lower-case hexadecimal without leading zeros. Null when it is none.</summary>
    public static string? NormalSerial(string text)
    {
        var bare = text.Replace(":", string.Empty, StringComparison.Ordinal).ToLowerInvariant().TrimStart('0');
        return bare.Length is > 0 and <= MaxSerialDigits && bare.All(char.IsAsciiHexDigitLower) ? bare : null;
    }

    /// <summary>Whether it vouches for itself, as a root does: names to the byte, because that is how workloads compare them.</summary>
    public static bool IsSelfSigned(X509Certificate certificate)
    {
        if (!certificate.SubjectDN.GetEncoded().AsSpan().SequenceEqual(certificate.IssuerDN.GetEncoded()))
        {
            return false;
        }

        try
        {
            certificate.Verify(certificate.GetPublicKey());
            return true;
        }
        catch (Exception)
        {
            // BouncyCastle throws many types for signatures and keys that do not fit.
            return false;
        }
    }

    /// <summary>Kind and size, as people say it.</summary>
    public static string KeyKind(AsymmetricKeyParameter key) => key switch
    {
        ECKeyParameters ec => $"EC P-{ec.Parameters.Curve.FieldSize}",
        RsaKeyParameters rsa => $"RSA {rsa.Modulus.BitLength}",
        _ => key.GetType().Name,
    };

    /// <summary>Names the signer as its own certificate does: a given one may have counted its key otherwise than we would.</summary>
    public static AuthorityKeyIdentifier SignerKey(X509Certificate signer) =>
        signer.GetExtensionValue(X509Extensions.SubjectKeyIdentifier) is { } own
            ? new AuthorityKeyIdentifier(Asn1OctetString.GetInstance(Asn1Object.FromByteArray(own.GetOctets())).GetOctets())
            : X509ExtensionUtilities.CreateAuthorityKeyIdentifier(signer.GetPublicKey());
}
