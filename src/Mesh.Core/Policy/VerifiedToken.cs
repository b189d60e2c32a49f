using System.Text;
using System.Text.Json;
using Mesh.Config;
using Mesh.Jwt;

namespace Mesh.Policy;

/// <summary>A token that is genuine, in time and for us. Immutable and thread-safe.</summary>
internal sealed class VerifiedToken
{
    /// <param name="keys">With which it was verified.</param>
    /// <param name="until">From then on it is over.</param>
    public VerifiedToken(JwtProvider provider, JsonElement payload, JsonWebKeySet keys, DateTimeOffset until)
    {
        (Provider, Payload, Keys, Until) = (provider, payload, keys, until);
        Claims = new VerifiedClaims(new Dictionary<string, JsonElement>(1, StringComparer.Ordinal) { [provider.ClaimsKey] = payload });
        Headers = [.. provider.ClaimHeaders.Select(h => (h.Header, Value: HeaderValue(payload, h.Claim))).Where(h => h.Value is not null).Select(h => new KeyValuePair<string, string>(h.Header, h.Value!))];
    }

    public JwtProvider Provider { get; }

    public JsonElement Payload { get; }

    public JsonWebKeySet Keys { get; }

    public DateTimeOffset Until { get; }

    /// <summary>Of a request that has this token alone.</summary>
    public VerifiedClaims Claims { get; }

    /// <summary>For the app's request. No value has a control character (RFC 9110 §5.5): a claim with one has no header.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; }

    /// <summary>Texts, numbers and truth values as they are; lists and objects as base64url of their JSON (Envoy).</summary>
    private static string? HeaderValue(JsonElement payload, string claim)
    {
        if (Find(payload, claim) is not { } value)
        {
            return null;
        }

        var text = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString()!,
            JsonValueKind.Number => value.GetRawText(),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            JsonValueKind.Array or JsonValueKind.Object => System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(value.GetRawText())),
            _ => null,
        };
        return text is null || text.AsSpan().IndexOfAnyInRange('\0', '\x1f') >= 0 || text.Contains('\x7f', StringComparison.Ordinal) ? null : text;
    }

    // A claim's own name may have dots, as a URL has: the whole name goes before its parts.
    private static JsonElement? Find(JsonElement payload, string claim)
    {
        if (payload.TryGetProperty(claim, out var value))
        {
            return value;
        }

        value = payload;
        foreach (var part in claim.AsSpan().Split('.'))
        {
            if (value.ValueKind != JsonValueKind.Object || !value.TryGetProperty(claim.AsSpan(part), out value))
            {
                return null;
            }
        }

        return value;
    }
}
