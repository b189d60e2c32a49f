using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;

namespace Mesh.Jwt;

/// <summary>The public keys of an issuer (RFC 7517 §5). Immutable and thread-safe.</summary>
internal sealed class JsonWebKeySet
{
    /// <summary>Bytes of a set.</summary>
    public const int MaxBytes = 256 * 1024;

    public const int MaxKeys = 64;

    private readonly byte[] _json;
    private readonly JsonWebKey[] _keys;

    private JsonWebKeySet(byte[] json, JsonWebKey[] keys) => (_json, _keys) = (json, keys);

    public IReadOnlyList<JsonWebKey> Keys => _keys;

    /// <summary>Keys that can't be used here are left out (RFC 7517 §5); a set without one that can is none.</summary>
    /// <param name="problem">What is wrong, as what follows a name: <c>is no JSON object</c>.</param>
    public static bool TryParse(ReadOnlyMemory<byte> utf8, [NotNullWhen(true)] out JsonWebKeySet? set, out string problem)
    {
        set = null;
        if (utf8.Length > MaxBytes)
        {
            problem = string.Create(CultureInfo.InvariantCulture, $"is longer than {MaxBytes} bytes");
            return false;
        }

        if (!StrictJson.TryParseObject(utf8, out var root) || !root.TryGetProperty("keys", out var given) || given.ValueKind != JsonValueKind.Array)
        {
            problem = "is no JSON object with an array 'keys'";
            return false;
        }

        var count = given.GetArrayLength();
        if (count > MaxKeys)
        {
            problem = string.Create(CultureInfo.InvariantCulture, $"has {count} keys, more than {MaxKeys}");
            return false;
        }

        var keys = new List<JsonWebKey>(count);
        foreach (var item in given.EnumerateArray())
        {
            if (JsonWebKey.TryRead(item, out var key))
            {
                keys.Add(key);
            }
        }

        if (keys.Count == 0)
        {
            problem = string.Create(CultureInfo.InvariantCulture, $"has no key that can be used, of {count}: RSA of 2048–8192 bits, or EC on P-256, P-384 or P-521, for signatures");
            return false;
        }

        problem = string.Empty;
        set = new JsonWebKeySet(utf8.ToArray(), [.. keys]);
        return true;
    }

    /// <summary>Came as the same bytes.</summary>
    public bool IsSameAs(JsonWebKeySet other) => _json.AsSpan().SequenceEqual(other._json);

    /// <summary><see cref="TokenFault.None"/> when one of the keys that fit has signed it: those with the token's key id, else those that have none; for a token without, all.</summary>
    public TokenFault Check(JsonWebToken token)
    {
        var fits = false;
        foreach (var key in _keys)
        {
            if (key.Fits(token.Algorithm) && (token.KeyId is null || key.Id is null || key.Id == token.KeyId))
            {
                fits = true;
                if (token.IsSignedBy(key))
                {
                    return TokenFault.None;
                }
            }
        }

        return fits ? TokenFault.Signature : TokenFault.UnknownKey;
    }
}
