using System.Globalization;
using Org.BouncyCastle.Crypto;
using Org.BouncyCastle.Crypto.Parameters;
using Org.BouncyCastle.Security;
using X509Certificate = Org.BouncyCastle.X509.X509Certificate;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>A certificate that may sign others, with its private key. Immutable.</summary>
/// <remarks>No record: nothing that prints it may print the key.</remarks>
internal sealed class SigningPair(X509Certificate certificate, AsymmetricKeyParameter key)
{
    private const int KeyCertSign = 5;

    public X509Certificate Certificate => certificate;

    public AsymmetricKeyParameter Key => key;

    /// <summary>What this key signs with.</summary>
    public string SignatureAlgorithm { get; } = AlgorithmFor(key);

    /// <summary>Whether another authority may stand between this one and a leaf.</summary>
    public bool MaySignIssuers => certificate.GetBasicConstraints() > 0;

    /// <summary>The signature algorithm follows the key.</summary>
    public static string AlgorithmFor(AsymmetricKeyParameter key) => key switch
    {
        RsaKeyParameters => "SHA256WITHRSA",
        ECKeyParameters { Parameters.Curve.FieldSize: > 384 } => "SHA512WITHECDSA",
        ECKeyParameters { Parameters.Curve.FieldSize: > 256 } => "SHA384WITHECDSA",
        _ => "SHA256WITHECDSA",
    };

    /// <summary>Reads a pair and checks it; messages name where it came from.</summary>
    /// <exception cref="InvalidDataException">It is no certificate authority, is not valid now, or the key is another one's.</exception>
    public static SigningPair Read(string certificatePem, string keyPem, string certificateFile, string keyFile, DateTimeOffset now)
    {
        var certificate = Pems.Parse(certificatePem, out _) as X509Certificate
            ?? throw new InvalidDataException($"'{certificateFile}' holds no PEM certificate. Give the certificate of the authority, PEM.");
        var key = Pems.Parse(keyPem, out _) switch
        {
            AsymmetricCipherKeyPair pair => pair.Private,
            AsymmetricKeyParameter { IsPrivate: true } single => single,
            _ => throw new InvalidDataException($"'{keyFile}' holds no PEM private key. Give the authority's unencrypted EC or RSA key, PEM."),
        };
        if (key is not (ECPrivateKeyParameters or RsaPrivateCrtKeyParameters))
        {
            throw new InvalidDataException($"'{keyFile}' holds a key of a kind that is not supported. Use EC or RSA.");
        }

        if (!Belongs(key, certificate))
        {
            throw new InvalidDataException($"The key in '{keyFile}' is not the key of the certificate in '{certificateFile}'. Give a pair that belongs together.");
        }

        if (certificate.GetBasicConstraints() < 0 || certificate.GetKeyUsage() is { } usage && !usage[KeyCertSign])
        {
            throw new InvalidDataException($"The certificate in '{certificateFile}' may not sign others: it needs the basic constraint CA and the key usage keyCertSign.");
        }

        if (now.UtcDateTime < certificate.NotBefore || now.UtcDateTime > certificate.NotAfter)
        {
            throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture, $"The certificate in '{certificateFile}' is valid {certificate.NotBefore:u} to {certificate.NotAfter:u}, which is not now. Give a valid one."));
        }

        return new SigningPair(certificate, key);
    }

    private static bool Belongs(AsymmetricKeyParameter key, X509Certificate certificate)
    {
        var probe = "mesh"u8.ToArray();
        var algorithm = AlgorithmFor(key);
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
