namespace Mesh.Jwt;

/// <summary>The first thing that is wrong with a token.</summary>
internal enum TokenFault
{
    None,

    /// <summary>Longer than <see cref="JsonWebToken.MaxLength"/>.</summary>
    TooLarge,

    /// <summary>No compact JWS of strict JSON.</summary>
    Malformed,

    /// <summary>An algorithm that is not on the list, such as <c>none</c> or one with a shared key.</summary>
    Algorithm,

    /// <summary>Asks for an extension (<c>crit</c>): none is known.</summary>
    Critical,

    /// <summary>Nobody whose tokens are believed here.</summary>
    Issuer,
    Audience,
    Expired,
    NotYetValid,

    /// <summary>The issuer has no key that fits.</summary>
    UnknownKey,
    Signature,

    /// <summary>The issuer's keys could not be had.</summary>
    KeysUnavailable,

    /// <summary>There is none where one is asked for.</summary>
    Missing,
}

/// <summary>The words of faults in metrics, spans and logs.</summary>
internal static class TokenFaults
{
    public static string Word(this TokenFault fault) => fault switch
    {
        TokenFault.None => "none",
        TokenFault.TooLarge => "too_large",
        TokenFault.Algorithm => "algorithm",
        TokenFault.Critical => "critical",
        TokenFault.Issuer => "issuer",
        TokenFault.Audience => "audience",
        TokenFault.Expired => "expired",
        TokenFault.NotYetValid => "not_yet_valid",
        TokenFault.UnknownKey => "unknown_key",
        TokenFault.Signature => "signature",
        TokenFault.KeysUnavailable => "keys_unavailable",
        TokenFault.Missing => "missing",
        _ => "malformed",
    };
}
