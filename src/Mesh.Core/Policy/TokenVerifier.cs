using Mesh.Config;
using Mesh.Jwt;

namespace Mesh.Policy;

/// <summary>Judges tokens of one provider: who made it, for whom, when, and whether the issuer's key signed it. Thread-safe.</summary>
internal sealed class TokenVerifier(JwtProvider provider, KeySource keys, TimeProvider time)
{
    public JwtProvider Provider => provider;

    /// <summary>The token was verified with keys that are still the issuer's, and has not ended.</summary>
    /// <remarks>Keys of unknown age (null) are not still the issuer's: the token is verified again, with what keys there are.</remarks>
    public bool StillBelieves(VerifiedToken token) => time.GetUtcNow() < token.Until && ReferenceEquals(keys.Current, token.Keys);

    /// <summary>Says no without asking for keys where it can: what comes from nobody is not worth a fetch.</summary>
    public async ValueTask<TokenVerdict> VerifyAsync(JsonWebToken token, CancellationToken cancellationToken)
    {
        if (!TokenClaims.IsFrom(token.Payload, provider.Issuer))
        {
            return new(TokenFault.Issuer);
        }

        if (!TokenClaims.IsFor(token.Payload, provider.Audiences))
        {
            return new(TokenFault.Audience);
        }

        var fault = TokenClaims.CheckTime(token.Payload, time.GetUtcNow(), provider.ClockSkew, out var until);
        if (fault != TokenFault.None)
        {
            return new(fault);
        }

        var set = keys.Current ?? await keys.GetAsync(cancellationToken).ConfigureAwait(false);
        if (set is null)
        {
            return new(TokenFault.KeysUnavailable);
        }

        fault = set.Check(token);
        if (fault == TokenFault.UnknownKey && await keys.GetNewerAsync(set, cancellationToken).ConfigureAwait(false) is { } newer)
        {
            set = newer;
            fault = set.Check(token);
        }

        return fault == TokenFault.None ? new(TokenFault.None, new VerifiedToken(provider, token.Payload, set, until)) : new(fault);
    }
}

/// <summary>What came of a token.</summary>
/// <param name="Token">Null with a fault.</param>
internal readonly record struct TokenVerdict(TokenFault Fault, VerifiedToken? Token = null);
