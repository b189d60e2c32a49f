using System.Security.Cryptography;

namespace Mesh.Jwt;

/// <summary>One way to sign (RFC 7518 §3), bound to the one kind of key that it goes with. Those with a shared key, and <c>none</c>, do not exist here.</summary>
/// <param name="Padding">Of RSA; null for elliptic curves.</param>
/// <param name="SignatureBytes">Of elliptic curves, exactly; 0 for RSA, whose signatures are as long as the key.</param>
internal sealed record SignatureAlgorithm(string Name, KeyKind Kind, HashAlgorithmName Hash, RSASignaturePadding? Padding, int SignatureBytes)
{
    private static readonly SignatureAlgorithm[] _all =
    [
        new("RS256", KeyKind.Rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1, 0),
        new("RS384", KeyKind.Rsa, HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1, 0),
        new("RS512", KeyKind.Rsa, HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1, 0),
        new("PS256", KeyKind.Rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pss, 0),
        new("PS384", KeyKind.Rsa, HashAlgorithmName.SHA384, RSASignaturePadding.Pss, 0),
        new("PS512", KeyKind.Rsa, HashAlgorithmName.SHA512, RSASignaturePadding.Pss, 0),
        new("ES256", KeyKind.P256, HashAlgorithmName.SHA256, null, 64),
        new("ES384", KeyKind.P384, HashAlgorithmName.SHA384, null, 96),
        new("ES512", KeyKind.P521, HashAlgorithmName.SHA512, null, 132),
    ];

    /// <summary>Null when it is not on the list. Names are case-sensitive.</summary>
    public static SignatureAlgorithm? Find(string name)
    {
        foreach (var algorithm in _all)
        {
            if (algorithm.Name == name)
            {
                return algorithm;
            }
        }

        return null;
    }
}

/// <summary>Kinds of public keys.</summary>
internal enum KeyKind
{
    Rsa,
    P256,
    P384,
    P521,
}
