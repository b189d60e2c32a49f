using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What RequestAuthentication says.</summary>
internal static class AuthenticationSettings
{
    public const string Kind = "RequestAuthentication";

    /// <summary>Not one value per place: all issuers that reach a place are believed there.</summary>
    public static readonly Setting<ImmutableArray<JwtIssuer>> Jwt = new("authentication.jwt", [], j => Shown.List(j, x => x.Issuer));

    public static readonly ImmutableArray<Setting> All = [Jwt];
}

/// <summary>Whose tokens are believed.</summary>
/// <param name="Audiences">Any of them; empty: every one.</param>
/// <param name="JwksUri">Where its keys are; empty when they are given.</param>
/// <param name="Jwks">The keys as JSON; empty when they are fetched.</param>
/// <param name="FromHeaders">Empty: <c>authorization</c> after <c>Bearer </c>.</param>
/// <param name="Forward">The token stays on the request.</param>
/// <param name="Where">File and line.</param>
internal sealed record JwtIssuer(
    string Issuer, ImmutableArray<string> Audiences, string JwksUri, string Jwks, ImmutableArray<TokenHeader> FromHeaders, bool Forward,
    ImmutableArray<ClaimHeader> ClaimHeaders, string Where);

internal sealed record TokenHeader(string Name, string Prefix);

/// <summary>A claim that the app sees as a header.</summary>
internal sealed record ClaimHeader(string Claim, string Header);
