using Mesh.Spiffe;
using Org.BouncyCastle.Asn1.Sec;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Generators;
using Org.BouncyCastle.Crypto.Operators;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Math;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;
using Org.BouncyCastle.X509.Extension;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Makes roots and the issuers below them. Thread-safe.</summary>
internal sealed class CertificateMaker(TrustDomain trustDomain, CaKeyKind kind, TimeProvider time, SecureRandom random)
{
    /// <summary>An issuer lives this long, or a third of its root's life where that is shorter.</summary>
    public static readonly TimeSpan IssuerLife = TimeSpan.FromDays(90);

    private const int RootYears = 10;
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    /// <summary>A root of our own, with its first issuer.</summary>
    public SigningAuthority NewRoot() => NewRoot(time.GetUtcNow().AddYears(RootYears));

    /// <summary>As <see cref="NewRoot()"/>, with another end.</summary>
    public SigningAuthority NewRoot(DateTimeOffset notAfter)
    {
        var pair = NewKey(kind);
        var serial = NewSerial(random);
        // The name holds the serial: two roots of one trust domain are never mistaken for each other.
        var name = new X509Name($"CN=mesh root {serial.ToString(16)[..8]},O={trustDomain}");
        var generator = Authority(serial, name, name, time.GetUtcNow(), notAfter, pair.Public);
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(1));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.KeyCertSign | KeyUsage.CrlSign));
        return WithNewIssuer(AuthorityOrigin.Own, new SigningPair(generator.Generate(new Asn1SignatureFactory(SigningPair.AlgorithmFor(pair.Private), pair.Private, random)), pair.Private));
    }

    /// <summary>The root with a new issuer below it; a root that may sign no issuer signs leaves itself.</summary>
    public SigningAuthority WithNewIssuer(AuthorityOrigin origin, SigningPair root)
    {
        if (!root.MaySignIssuers)
        {
            return new SigningAuthority(origin, root.Certificate, root.Key, root, []);
        }

        var now = time.GetUtcNow();
        var (rootStart, rootEnd) = (Certificates.NotBefore(root.Certificate), Certificates.NotAfter(root.Certificate));
        var life = (rootEnd - rootStart) / 3 < IssuerLife ? (rootEnd - rootStart) / 3 : IssuerLife;
        var pair = NewKey(kind);
        var serial = NewSerial(random);
        var generator = Authority(
            serial, root.Certificate.SubjectDN, new X509Name($"CN=mesh issuer {serial.ToString(16)[..8]},O={trustDomain}"),
            now, now + life < rootEnd ? now + life : rootEnd, pair.Public);
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(0));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.KeyCertSign));
        generator.AddExtension(X509Extensions.AuthorityKeyIdentifier, false, Certificates.SignerKey(root.Certificate));
        generator.AddExtension(X509Extensions.NameConstraints, true, Names);
        var issuer = new SigningPair(generator.Generate(new Asn1SignatureFactory(root.SignatureAlgorithm, root.Key, random)), pair.Private);
        return new SigningAuthority(origin, root.Certificate, root.Key, issuer, [issuer.Certificate]);
    }

    /// <summary>Always 16 bytes, 126 of its bits random; positive and never zero (RFC 5280 §4.1.2.2).</summary>
    public static BigInteger NewSerial(SecureRandom random)
    {
        var bytes = new byte[16];
        random.NextBytes(bytes);
        bytes[0] = (byte)((bytes[0] & 0x7f) | 0x40);
        return new BigInteger(1, bytes);
    }

    /// <summary>Whether its issuer, where we made it, is for this trust domain: the control plane may have been given another since.</summary>
    public bool Fits(SigningAuthority authority) =>
        authority.Origin == AuthorityOrigin.GivenIssuer || authority.RootSignsLeaves
        || (authority.Issuer.Certificate.GetExtensionValue(X509Extensions.NameConstraints) is { } names && names.GetOctets().AsSpan().SequenceEqual(Names.GetDerEncoded()));

    /// <summary>Of identities an issuer can certify those of this trust domain and no other (RFC 5280 §4.2.1.10: the host of a URI, exactly).</summary>
    private NameConstraints Names => new(new GeneralSubtrees(new GeneralSubtree(new GeneralName(GeneralName.UniformResourceIdentifier, trustDomain.Name))), null);

    private AsymmetricCipherKeyPair NewKey(CaKeyKind of)
    {
        var generator = new ECKeyPairGenerator();
        generator.Init(new ECKeyGenerationParameters(of == CaKeyKind.P384 ? SecObjectIdentifiers.SecP384r1 : SecObjectIdentifiers.SecP256r1, random));
        return generator.GenerateKeyPair();
    }

    private X509V3CertificateGenerator Authority(BigInteger serial, X509Name issuer, X509Name subject, DateTimeOffset now, DateTimeOffset notAfter, AsymmetricKeyParameter key)
    {
        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(serial);
        generator.SetIssuerDN(issuer);
        generator.SetSubjectDN(subject);
        generator.SetNotBefore((now - ClockSkew).UtcDateTime);
        generator.SetNotAfter(notAfter.UtcDateTime);
        generator.SetPublicKey(key);
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, X509ExtensionUtilities.CreateSubjectKeyIdentifier(key));
        generator.AddExtension(
            X509Extensions.SubjectAlternativeName, false, new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, $"spiffe://{trustDomain}")));
        return generator;
    }
}
