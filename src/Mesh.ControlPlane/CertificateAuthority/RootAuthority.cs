using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using Mesh.ControlPlane.Model;
using Mesh.Spiffe;
using Org.BouncyCastle.Asn1.X509;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.OpenSsl;
using Org.BouncyCastle.Security;
using Org.BouncyCastle.X509;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>The root of trust: the certificate that everyone knows and the key that never leaves this process and its data folder.</summary>
internal sealed class RootAuthority
{
    private const string CertificateFile = "root-cert.pem";
    private const string KeyFile = "root-key.pem";

    /// <summary>What workloads are given. It is written when the root is complete.</summary>
    public const string TrustBundleFile = "trust-bundle.pem";

    private RootAuthority(X509Certificate certificate, AsymmetricKeyParameter key)
    {
        (Certificate, Key) = (certificate, key);
        Pem = Pems.Write(certificate);
        Loaded = X509CertificateLoader.LoadCertificate(certificate.GetEncoded());
        SignatureAlgorithm = key is RsaKeyParameters ? "SHA256WITHRSA" : "SHA256WITHECDSA";
    }

    public X509Certificate Certificate { get; }

    public AsymmetricKeyParameter Key { get; }

    public string SignatureAlgorithm { get; }

    public string Pem { get; }

    /// <summary>The same certificate for .NET's chain building, without key.</summary>
    public X509Certificate2 Loaded { get; }

    /// <summary>Takes the root of the data folder; makes one when there is none.</summary>
    public static RootAuthority LoadOrCreate(DataFolder data, TrustDomain trustDomain, TimeProvider time, SecureRandom random)
    {
        // A key alone is a first start that was cut off, unless a bundle shows that workloads trust its certificate already.
        if (data.Exists(CertificateFile) || (data.Exists(KeyFile) && data.Exists(TrustBundleFile)))
        {
            return Load(data.File(CertificateFile), data.File(KeyFile), time);
        }

        var pair = Issuer.NewP256(random);
        var now = time.GetUtcNow().UtcDateTime;
        var serial = Issuer.NewSerial(random);
        // The name holds the serial: two roots of one trust domain are never mistaken for each other.
        var name = new X509Name($"CN=mesh root {serial.ToString(16)[..8]},O={trustDomain}");
        var generator = new X509V3CertificateGenerator();
        generator.SetSerialNumber(serial);
        generator.SetIssuerDN(name);
        generator.SetSubjectDN(name);
        generator.SetNotBefore(now.AddMinutes(-1));
        generator.SetNotAfter(now.AddYears(10));
        generator.SetPublicKey(pair.Public);
        generator.AddExtension(X509Extensions.BasicConstraints, true, new BasicConstraints(1));
        generator.AddExtension(X509Extensions.KeyUsage, true, new KeyUsage(KeyUsage.KeyCertSign | KeyUsage.CrlSign));
        generator.AddExtension(X509Extensions.SubjectKeyIdentifier, false, Org.BouncyCastle.X509.Extension.X509ExtensionUtilities.CreateSubjectKeyIdentifier(pair.Public));
        generator.AddExtension(
            X509Extensions.SubjectAlternativeName, false, new GeneralNames(new GeneralName(GeneralName.UniformResourceIdentifier, $"spiffe://{trustDomain}")));
        var certificate = generator.Generate(new Org.BouncyCastle.Crypto.Operators.Asn1SignatureFactory("SHA256WITHECDSA", pair.Private, random));

        // The key first: a certificate without its key would be refused at the next start; a key alone is replaced.
        data.Write(KeyFile, Pems.Write(new Pkcs8Generator(pair.Private).Generate()), secret: true);
        data.Write(CertificateFile, Pems.Write(certificate), secret: false);
        return new RootAuthority(certificate, pair.Private);
    }

    /// <summary>Takes a given root.</summary>
    /// <exception cref="InvalidDataException">It is no certificate authority, is over, or the key is another one's.</exception>
    public static RootAuthority Load(string certificateFile, string keyFile, TimeProvider time)
    {
        var certificate = Pems.Read(certificateFile) as X509Certificate
            ?? throw new InvalidDataException($"'{certificateFile}' holds no PEM certificate. Give the root certificate, PEM, with --root-cert FILE.");
        var key = Pems.Read(keyFile) switch
        {
            AsymmetricCipherKeyPair pair => pair.Private,
            AsymmetricKeyParameter { IsPrivate: true } single => single,
            _ => throw new InvalidDataException($"'{keyFile}' holds no PEM private key. Give the root's unencrypted EC or RSA key, PEM, with --root-key FILE."),
        };
        if (key is not (ECPrivateKeyParameters or RsaPrivateCrtKeyParameters))
        {
            throw new InvalidDataException($"'{keyFile}' holds a key of a kind that is not supported. Use EC or RSA.");
        }

        if (!Belongs(key, certificate))
        {
            throw new InvalidDataException($"The key in '{keyFile}' is not the key of the certificate in '{certificateFile}'. Give a pair that belongs together.");
        }

        if (certificate.GetBasicConstraints() < 0 || certificate.GetKeyUsage() is { } usage && !usage[5])
        {
            throw new InvalidDataException($"The certificate in '{certificateFile}' may not sign others: it needs the basic constraint CA and the key usage keyCertSign.");
        }

        var now = time.GetUtcNow().UtcDateTime;
        if (now < certificate.NotBefore || now > certificate.NotAfter)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"The certificate in '{certificateFile}' is valid {certificate.NotBefore:u} to {certificate.NotAfter:u}, which is not now. Give a valid root."));
        }

        return new RootAuthority(certificate, key);
    }

    private static bool Belongs(AsymmetricKeyParameter key, X509Certificate certificate)
    {
        var probe = "mesh"u8.ToArray();
        var algorithm = key is RsaKeyParameters ? "SHA256WITHRSA" : "SHA256WITHECDSA";
        try
        {
            var signer = SignerUtilities.GetSigner(algorithm);
            signer.Init(true, key);
            signer.BlockUpdate(probe, 0, probe.Length);
            var signature = signer.GenerateSignature();
            var verifier = SignerUtilities.GetSigner(algorithm);
            verifier.Init(false, certificate.GetPublicKey());
            verifier.BlockUpdate(probe, 0, probe.Length);
            return verifier.VerifySignature(signature);
        }
        catch (Exception e) when (e is CryptoException or InvalidKeyException or InvalidCastException or ArgumentException)
        {
            return false;
        }
    }
}
