using System.Net;
using Mesh.Spiffe;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Generators;
using Org.BouncyCastle.Crypto.Operators;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Signs leaves: each field is ours, nothing is copied from what was asked. Thread-safe.</summary>
internal sealed class Issuer(RootAuthority root, TimeProvider time, SecureRandom random)
{
    /// <summary>Clocks of workloads may be behind ours.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    public RootAuthority Root => root;

    /// <summary>A leaf that certifies exactly one SPIFFE ID.</summary>
    public X509Certificate IssueWorkload(SpiffeId id, AsymmetricKeyParameter publicKey, TimeSpan life) =>
        Issue(new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, id.ToString())), publicKey, life);

    /// <summary>A leaf for the control plane's own TLS port.</summary>
    public X509Certificate IssueServer(IEnumerable<string> dnsNames, IEnumerable<IPAddress> addresses, AsymmetricKeyParameter publicKey, TimeSpan life) =>
        Issue(
            new GeneralNames([
                .. dnsNames.Select(n => new GeneralName(GeneralName.DnsName, n)),
                .. addresses.Select(a => new GeneralName(GeneralName.IPAddress, a.ToString())),
            ]),
            publicKey, life);

    public static AsymmetricCipherKeyPair NewP256(SecureRandom random)
    {
        var generator = new ECKeyPairGenerator();
        generator.Init(new Org.BouncyCastle.Crypto.Parameters.ECKeyGenerationParameters(Org.BouncyCastle.Asn1.Sec.SecObjectIdentifiers.SecP256r1, random));
        return generator.GenerateKeyPair();
    }

    /// <summary>Always 16 bytes, 126 of its bits random; positive and never zero (RFC 5280 §4.1.2.2).</summary>
    public static BigInteger NewSerial(SecureRandom random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        bytes[0] = (byte)((bytes[0] & 0x7f) | 0x40);
        return new BigInteger(1, bytes);
    }

    private X509Certificate Issue(GeneralNames names, AsymmetricKeyParameter publicKey, TimeSpan life)
    {
        var now = time.GetUtcNow().UtcDateTime;
        var notAfter = now + life;
        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(NewSerial(random));
        generator.SetIssuerDN(root.Certificate.SubjectDN);
        generator.SetSubjectDN(new X509Name([], new Dictionary<Org.BouncyCastle.Asn1.DerObjectIdentifier, string>()));
        generator.SetNotBefore(now - ClockSkew);
        generator.SetNotAfter(notAfter < root.Certificate.NotAfter ? notAfter : root.Certificate.NotAfter);
        generator.SetPublicKey(publicKey);
        // Critical because the subject is empty (RFC 5280 §4.2.1.6).
        generator.AddExtension(X509Extensions.SubjectAlternativeName, true, names);
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(false));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.DigitalSignature));
        generator.AddExtension(X509Extensions.ExtendedKeyUsage, false, new ExtendedKeyUsage(KeyPurposeID.id_kp_clientAuth, KeyPurposeID.id_kp_serverAuth));
        generator.AddExtension(X509Extensions.AuthorityKeyIdentifier, false, Org.BouncyCastle.X509.Extension.X509ExtensionUtilities.CreateAuthorityKeyIdentifier(root.Certificate.GetPublicKey()));
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, Org.BouncyCastle.X509.Extension.X509ExtensionUtilities.CreateSubjectKeyIdentifier(publicKey));
        return generator.Generate(new Asn1SignatureFactory(root.SignatureAlgorithm, root.Key, random));
    }
}
