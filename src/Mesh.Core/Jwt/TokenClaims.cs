using System.Text.Json;

namespace Mesh.Jwt;

/// <summary>What a token says of itself: who made it, for whom, from when until when (RFC 7519 §4.1). Pure.</summary>
internal static class TokenClaims
{
    // 9999-12-31: what DateTimeOffset can hold.
    private const double LastSecond = 253_402_300_799;

    public static bool IsFrom(JsonElement payload, string issuer) =>
        payload.TryGetProperty("iss", out var value) && value.ValueKind == JsonValueKind.String && value.ValueEquals(issuer);

    /// <param name="audiences">Any of them; none is anybody.</param>
    public static bool IsFor(JsonElement payload, IReadOnlyList<string> audiences)
    {
        if (audiences.Count == 0)
        {
            return true;
        }

        if (!payload.TryGetProperty("aud", out var given))
        {
            return false;
        }

        if (given.ValueKind != JsonValueKind.Array)
        {
            return IsOneOf(given, audiences);
        }

        foreach (var item in given.EnumerateArray())
        {
            if (IsOneOf(item, audiences))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>When it is valid; a token without an end is none of ours.</summary>
    /// <param name="skew">By which clocks may differ.</param>
    /// <param name="until">From then on it is over, the skew included.</param>
    public static TokenFault CheckTime(JsonElement payload, DateTimeOffset now, TimeSpan skew, out DateTimeOffset until)
    {
        until = default;
        if (!TryMoment(payload, "exp", out var ends) || ends is null || !TryMoment(payload, "nbf", out var begins) || !TryMoment(payload, "iat", out var issued))
        {
            return TokenFault.Malformed;
        }

        until = ends.Value > DateTimeOffset.MaxValue - skew ? DateTimeOffset.MaxValue : ends.Value + skew;
        // RFC 7519 §4.1.4: on or after that moment it is not accepted.
        return now >= until ? TokenFault.Expired
            : begins > now + skew || issued > now + skew ? TokenFault.NotYetValid
            : TokenFault.None;
    }

    private static bool IsOneOf(JsonElement given, IReadOnlyList<string> audiences)
    {
        if (given.ValueKind != JsonValueKind.String)
        {
            return false;
        }

        for (var i = 0; i < audiences.Count; i++)
        {
            if (given.ValueEquals(audiences[i]))
            {
                return true;
            }
        }

        return false;
    }

    // NumericDate: seconds since 1970, with a fraction or without. False for anything else; an absent one is null.
    private static bool TryMoment(JsonElement payload, string name, out DateTimeOffset? moment)
    {
        moment = null;
        if (!payload.TryGetProperty(name, out var value))
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.Number || !value.TryGetDouble(out var seconds) || !(seconds >= 0 && seconds <= LastSecond))
        {
            return false;
        }

        moment = DateTimeOffset.UnixEpoch.AddSeconds(seconds);
        return true;
    }
}
