using Mesh.Jwt;

namespace Mesh.Config;

/// <summary>Whose tokens are believed, and which requests must bring one (xDS jwt_authn).</summary>
/// <param name="Rules">The first that takes a request says what is asked of it; where none does, nothing is.</param>
internal sealed record JwtAuthentication(IReadOnlyList<JwtProvider> Providers, IReadOnlyList<JwtRule> Rules) : HttpFilterSettings
{
    public override bool Guards => true;
}

/// <summary>One issuer of tokens.</summary>
/// <param name="Name">Among the providers of the filter.</param>
/// <param name="Issuer">What <c>iss</c> must be.</param>
/// <param name="Audiences">Of which <c>aud</c> must name one; none takes any.</param>
internal sealed record JwtProvider(string Name, string Issuer, IReadOnlyList<string> Audiences, JwtKeys Keys)
{
    /// <summary>Under which rules find its claims.</summary>
    public string ClaimsKey { get; init; } = Name;

    /// <summary>The app gets the token too.</summary>
    public bool Forward { get; init; }

    /// <summary>Where its tokens are; at least one place.</summary>
    public IReadOnlyList<JwtPlace> Places { get; init; } = [JwtPlace.Bearer];

    /// <summary>By which clocks may differ.</summary>
    public TimeSpan ClockSkew { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Claims that the app gets as headers of its request.</summary>
    public IReadOnlyList<JwtClaimHeader> ClaimHeaders { get; init; } = [];
}

/// <summary>Where the keys of an issuer come from.</summary>
internal abstract record JwtKeys
{
    internal sealed record Inline(JsonWebKeySet Set) : JwtKeys;

    /// <param name="CacheDuration">At most so long without asking again; null is what the issuer says, else ten minutes.</param>
    /// <param name="Timeout">Of one fetch.</param>
    internal sealed record Remote(Uri Uri, TimeSpan? CacheDuration, TimeSpan Timeout) : JwtKeys;
}

/// <summary>A place in a request that may hold a token.</summary>
/// <param name="Name">Of a header, lower case; or of a query parameter.</param>
/// <param name="Prefix">Of the header's value, before the token.</param>
internal sealed record JwtPlace(bool IsHeader, string Name, string Prefix)
{
    /// <summary>RFC 6750 §2.1.</summary>
    public static JwtPlace Bearer { get; } = new(true, "authorization", "Bearer ");
}

/// <param name="Header">Lower case.</param>
/// <param name="Claim">A member of the payload, or of objects in it: <c>a.b</c>.</param>
internal sealed record JwtClaimHeader(string Header, string Claim);

/// <summary>What is asked of some requests.</summary>
/// <param name="Requirement">Null is nothing: their tokens are not looked at.</param>
internal sealed record JwtRule(RouteMatch Match, JwtRequirement? Requirement);

/// <summary>Which tokens will do.</summary>
/// <param name="Providers">Names; any of them.</param>
/// <param name="AllowMissing">A request without a token goes on; one with a bad one does not.</param>
/// <param name="AllowFailed">So does one with a bad token, whose claims count for nothing.</param>
internal sealed record JwtRequirement(IReadOnlyList<string> Providers, bool AllowMissing, bool AllowFailed);
