using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;

namespace Mesh.Jwt;

/// <summary>A signed token as it came (RFC 7519, JWS compact serialization), with nothing of it believed yet. Immutable.</summary>
/// <remarks>Whatever the header says of keys (<c>jwk</c>, <c>jku</c>, <c>x5u</c>, <c>x5c</c>) is not read: keys come from the provider's key set alone.</remarks>
internal sealed class JsonWebToken
{
    /// <summary>Characters; Kestrel takes 32 kB of headers in all.</summary>
    public const int MaxLength = 16 * 1024;

    /// <summary>Characters.</summary>
    public const int MaxKeyIdLength = 256;

    private readonly byte[] _signed;
    private readonly byte[] _signature;

    private JsonWebToken(SignatureAlgorithm algorithm, string? keyId, JsonElement payload, byte[] signed, byte[] signature)
    {
        (Algorithm, KeyId, Payload) = (algorithm, keyId, payload);
        (_signed, _signature) = (signed, signature);
    }

    public SignatureAlgorithm Algorithm { get; }

    /// <summary>Null when it names no key.</summary>
    public string? KeyId { get; }

    /// <summary>An object.</summary>
    public JsonElement Payload { get; }

    /// <summary>Never throws, whatever comes.</summary>
    public static bool TryParse(ReadOnlySpan<char> compact, [NotNullWhen(true)] out JsonWebToken? token, out TokenFault fault)
    {
        token = null;
        if (compact.Length > MaxLength)
        {
            fault = TokenFault.TooLarge;
            return false;
        }

        fault = TokenFault.Malformed;
        var first = compact.IndexOf('.');
        var last = compact.LastIndexOf('.');
        if (first <= 0 || last == first || compact[(first + 1)..last].Contains('.')
            || !StrictJson.TryDecode(compact[..first], out var head)
            || !StrictJson.TryDecode(compact[(first + 1)..last], out var body)
            || !StrictJson.TryDecode(compact[(last + 1)..], out var signature)
            || !StrictJson.TryParseObject(head, out var header)
            || !StrictJson.TryParseObject(body, out var payload)
            || !TryText(header, "alg", out var alg)
            || !TryText(header, "kid", out var keyId)
            || keyId?.Length > MaxKeyIdLength)
        {
            return false;
        }

        if (header.TryGetProperty("crit", out _))
        {
            fault = TokenFault.Critical;
            return false;
        }

        if (alg is null || SignatureAlgorithm.Find(alg) is not { } algorithm)
        {
            fault = TokenFault.Algorithm;
            return false;
        }

        fault = TokenFault.None;
        token = new JsonWebToken(algorithm, keyId, payload, Encoding.ASCII.GetBytes(compact[..last].ToString()), signature);
        return true;
    }

    /// <summary>The key's owner has signed this.</summary>
    public bool IsSignedBy(JsonWebKey key) => key.Verifies(Algorithm, _signed, _signature);

    // Absent is fine; anything but a text is not.
    private static bool TryText(JsonElement header, string name, out string? text)
    {
        text = null;
        if (!header.TryGetProperty(name, out var value))
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            return false;
        }

        text = value.GetString();
        return true;
    }
}
