using System.Text.Json;
using Mesh.Config;
using Mesh.Jwt;
using Mesh.Policy;

namespace Mesh.Inbound;

/// <summary>What the tokens of a request came to. Immutable and thread-safe.</summary>
internal sealed class Authentication
{
    private Authentication(TokenFault fault, string issuer, VerifiedClaims claims, IReadOnlyList<FoundToken> tokens) =>
        (Fault, Issuer, Claims, Tokens) = (fault, issuer, claims, tokens);

    /// <summary>No token was asked for, or none was there and none is needed.</summary>
    public static Authentication None { get; } = new(TokenFault.None, string.Empty, VerifiedClaims.None, []);

    /// <summary>With any but <see cref="TokenFault.None"/> the request is not served.</summary>
    public TokenFault Fault { get; }

    /// <summary>Of the provider at fault, for the log; empty when it is none's.</summary>
    public string Issuer { get; }

    public VerifiedClaims Claims { get; }

    public IReadOnlyList<FoundToken> Tokens { get; }

    public static Authentication Failed(TokenFault fault, string issuer) => new(fault, issuer, VerifiedClaims.None, []);

    public static Authentication Of(FoundToken token) => new(TokenFault.None, string.Empty, token.Token.Claims, [token]);

    /// <summary>Of several tokens under one key the first counts.</summary>
    public static Authentication Of(IReadOnlyList<FoundToken> tokens)
    {
        if (tokens.Count == 0)
        {
            return None;
        }

        var payloads = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var found in tokens)
        {
            payloads.TryAdd(found.Token.Provider.ClaimsKey, found.Token.Payload);
        }

        return new Authentication(TokenFault.None, string.Empty, new VerifiedClaims(payloads), tokens);
    }
}

/// <summary>A verified token and where it was.</summary>
internal sealed record FoundToken(JwtPlace Place, VerifiedToken Token);
