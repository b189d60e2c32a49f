using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Operators;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;
using Org.BouncyCastle.X509.Extension;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Makes leaves: each field is ours, nothing is copied from what was asked.</summary>
internal static class Leaves
{
    /// <summary>Clocks of workloads may be behind ours.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    /// <summary>A leaf; it never outlives its issuer.</summary>
    public static X509Certificate Make(SigningPair issuer, GeneralNames names, AsymmetricKeyParameter publicKey, DateTimeOffset now, TimeSpan life, SecureRandom random)
    {
        var notAfter = (now + life).UtcDateTime;
        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(CertificateMaker.NewSerial(random));
        generator.SetIssuerDN(issuer.Certificate.SubjectDN);
        generator.SetSubjectDN(new X509Name([], new Dictionary<Org.BouncyCastle.Asn1.DerObjectIdentifier, string>()));
        generator.SetNotBefore((now - ClockSkew).UtcDateTime);
        generator.SetNotAfter(notAfter < issuer.Certificate.NotAfter ? notAfter : issuer.Certificate.NotAfter);
        generator.SetPublicKey(publicKey);
        // Critical because the subject is empty (RFC 5280 §4.2.1.6).
        generator.AddExtension(X509Extensions.SubjectAlternativeName, true, names);
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(false));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.DigitalSignature));
        generator.AddExtension(X509Extensions.ExtendedKeyUsage, false, new ExtendedKeyUsage(KeyPurposeID.id_kp_clientAuth, KeyPurposeID.id_kp_serverAuth));
        generator.AddExtension(X509Extensions.AuthorityKeyIdentifier, false, Certificates.SignerKey(issuer.Certificate));
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, X509ExtensionUtilities.CreateSubjectKeyIdentifier(publicKey));
        return generator.Generate(new Asn1SignatureFactory(issuer.SignatureAlgorithm, issuer.Key, random));
    }
}
