using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Mesh.Testing;

/// <summary>Signs tokens with a key of its own, right or wrong ones: header and payload are the test's.</summary>
internal sealed class TestIssuer : IDisposable
{
    private readonly RSA? _rsa;
    private readonly ECDsa? _curve;

    /// <param name="algorithm">Decides the kind of the key, and is what <see cref="Sign"/> writes.</param>
    public TestIssuer(string algorithm = "ES256", string? keyId = "k1", int rsaBits = 2048)
    {
        (Algorithm, KeyId) = (algorithm, keyId);
        if (algorithm.StartsWith("ES", StringComparison.Ordinal))
        {
            _curve = ECDsa.Create(algorithm switch { "ES256" => ECCurve.NamedCurves.nistP256, "ES384" => ECCurve.NamedCurves.nistP384, _ => ECCurve.NamedCurves.nistP521 });
        }
        else
        {
            _rsa = RSA.Create(rsaBits);
        }
    }

    public string Algorithm { get; }

    public string? KeyId { get; }

    /// <summary>The public key as JSON.</summary>
    public string Key(string more = "")
    {
        var id = KeyId is null ? string.Empty : $"\"kid\":\"{KeyId}\",";
        if (_rsa is not null)
        {
            var rsa = _rsa.ExportParameters(false);
            return $"{{\"kty\":\"RSA\",{id}{more}\"n\":\"{Encode(rsa.Modulus!)}\",\"e\":\"{Encode(rsa.Exponent!)}\"}}";
        }

        var point = _curve!.ExportParameters(false);
        return $"{{\"kty\":\"EC\",{id}{more}\"crv\":\"P-{(_curve.KeySize)}\",\"x\":\"{Encode(point.Q.X!)}\",\"y\":\"{Encode(point.Q.Y!)}\"}}";
    }

    public byte[] PublicKey => _rsa is not null ? _rsa.ExportSubjectPublicKeyInfo() : _curve!.ExportSubjectPublicKeyInfo();

    public static string Set(params IEnumerable<string> keys) => $"{{\"keys\":[{string.Join(',', keys)}]}}";

    public static string Set(params TestIssuer[] issuers) => Set(issuers.Select(i => i.Key()));

    /// <summary>A token that ends at <paramref name="until"/>.</summary>
    /// <param name="more">Other claims, each with a comma before it.</param>
    public string Token(DateTimeOffset until, string issuer = "https://issuer.test", string more = "") =>
        Sign($"{{\"iss\":\"{issuer}\",\"sub\":\"ada\",\"exp\":{until.ToUnixTimeSeconds()}{more}}}");

    /// <param name="header">Null is the usual one.</param>
    public string Sign(string payload, string? header = null)
    {
        header ??= KeyId is null ? $"{{\"alg\":\"{Algorithm}\"}}" : $"{{\"alg\":\"{Algorithm}\",\"kid\":\"{KeyId}\"}}";
        return SignParts(Encode(Encoding.UTF8.GetBytes(header)), Encode(Encoding.UTF8.GetBytes(payload)));
    }

    public string SignParts(string header, string payload)
    {
        var text = Encoding.UTF8.GetBytes($"{header}.{payload}");
        var hash = Algorithm[2..] switch { "256" => HashAlgorithmName.SHA256, "384" => HashAlgorithmName.SHA384, _ => HashAlgorithmName.SHA512 };
        var signature = _curve is not null
            ? _curve.SignData(text, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation)
            : _rsa!.SignData(text, hash, Algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
        return $"{header}.{payload}.{Encode(signature)}";
    }

    public static string Encode(byte[] bytes) => Base64Url.EncodeToString(bytes);

    public static string Encode(string text) => Encode(Encoding.UTF8.GetBytes(text));

    public void Dispose()
    {
        _rsa?.Dispose();
        _curve?.Dispose();
    }
}
