using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;

namespace Mesh.Jwt;

/// <summary>A public key of an issuer (RFC 7517). Immutable and thread-safe: each use makes its own platform key.</summary>
internal sealed class JsonWebKey
{
    /// <summary>Weaker keys are not believed (RFC 7518 §3.3).</summary>
    private const int MinRsaBits = 2048;

    /// <summary>Longer ones cost more than they give.</summary>
    private const int MaxRsaBits = 8192;

    private readonly KeyKind _kind;
    private readonly string? _algorithm;
    private readonly RSAParameters _rsa;
    private readonly ECParameters _curve;

    private JsonWebKey(string? id, string? algorithm, RSAParameters rsa) => (Id, _algorithm, _kind, _rsa) = (id, algorithm, KeyKind.Rsa, rsa);

    private JsonWebKey(string? id, string? algorithm, KeyKind kind, ECParameters curve) => (Id, _algorithm, _kind, _curve) = (id, algorithm, kind, curve);

    /// <summary>Null when it has none.</summary>
    public string? Id { get; }

    /// <summary>False for a key that can't verify signatures here: another kind, a weak or broken one, one for encryption, one that is shared.</summary>
    public static bool TryRead(JsonElement given, [NotNullWhen(true)] out JsonWebKey? key)
    {
        key = null;
        if (given.ValueKind != JsonValueKind.Object || Text(given, "use") is not (null or "sig") || !MayVerify(given))
        {
            return false;
        }

        var (id, algorithm) = (Text(given, "kid"), Text(given, "alg"));
        if (id?.Length > JsonWebToken.MaxKeyIdLength)
        {
            return false;
        }

        try
        {
            key = Text(given, "kty") switch
            {
                "RSA" => Rsa(given, id, algorithm),
                "EC" => Curve(given, id, algorithm),
                _ => null,
            };
        }
        catch (CryptographicException)
        {
            // A point that is not on its curve, a number that is no modulus.
            return false;
        }

        return key is not null;
    }

    /// <summary>The algorithm is for keys of this kind, and not another than the key is for.</summary>
    public bool Fits(SignatureAlgorithm algorithm) => algorithm.Kind == _kind && (_algorithm is null || _algorithm == algorithm.Name);

    public bool Verifies(SignatureAlgorithm algorithm, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature)
    {
        if (!Fits(algorithm))
        {
            return false;
        }

        try
        {
            if (algorithm.Padding is { } padding)
            {
                using var rsa = RSA.Create(_rsa);
                return signature.Length == (rsa.KeySize + 7) / 8 && rsa.VerifyData(signed, signature, algorithm.Hash, padding);
            }

            using var curve = ECDsa.Create(_curve);
            return signature.Length == algorithm.SignatureBytes && curve.VerifyData(signed, signature, algorithm.Hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    private static JsonWebKey? Rsa(JsonElement given, string? id, string? algorithm)
    {
        if (Bytes(given, "n") is not { } modulus || Bytes(given, "e") is not { Length: > 0 and <= 4 } exponent)
        {
            return null;
        }

        modulus = modulus.AsSpan().TrimStart((byte)0).ToArray();
        exponent = exponent.AsSpan().TrimStart((byte)0).ToArray();
        var bits = modulus.Length * 8;
        // Odd, and not 1: with that every message is its own signature.
        if (bits is < MinRsaBits or > MaxRsaBits || (modulus[^1] & 1) == 0 || exponent is [] or [1] || (exponent[^1] & 1) == 0)
        {
            return null;
        }

        var parameters = new RSAParameters { Modulus = modulus, Exponent = exponent };
        using var rsa = RSA.Create(parameters);
        return rsa.KeySize < MinRsaBits ? null : new JsonWebKey(id, algorithm, parameters);
    }

    private static JsonWebKey? Curve(JsonElement given, string? id, string? algorithm)
    {
        (KeyKind Kind, ECCurve Curve, int Bytes)? known = Text(given, "crv") switch
        {
            "P-256" => (KeyKind.P256, ECCurve.NamedCurves.nistP256, 32),
            "P-384" => (KeyKind.P384, ECCurve.NamedCurves.nistP384, 48),
            "P-521" => (KeyKind.P521, ECCurve.NamedCurves.nistP521, 66),
            _ => null,
        };
        if (known is not { } found || Bytes(given, "x") is not { } x || Bytes(given, "y") is not { } y || x.Length != found.Bytes || y.Length != found.Bytes)
        {
            return null;
        }

        var parameters = new ECParameters { Curve = found.Curve, Q = new ECPoint { X = x, Y = y } };
        // Throws for a point that is not on the curve.
        using var curve = ECDsa.Create(parameters);
        return new JsonWebKey(id, algorithm, found.Kind, parameters);
    }

    // RFC 7517 §4.3: absent is anything.
    private static bool MayVerify(JsonElement given)
    {
        if (!given.TryGetProperty("key_ops", out var operations))
        {
            return true;
        }

        if (operations.ValueKind != JsonValueKind.Array)
        {
            return false;
        }

        foreach (var operation in operations.EnumerateArray())
        {
            if (operation.ValueKind == JsonValueKind.String && operation.ValueEquals("verify"))
            {
                return true;
            }
        }

        return false;
    }

    private static string? Text(JsonElement given, string name) => given.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static byte[]? Bytes(JsonElement given, string name) => Text(given, name) is { Length: > 0 } text && StrictJson.TryDecode(text, out var bytes) ? bytes : null;
}
