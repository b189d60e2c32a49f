using Mesh.Config;
using Mesh.Jwt;
using Mesh.Policy;
using Mesh.Routing;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>Finds the tokens of a request and judges them, as the listener's filter says. Thread-safe.</summary>
/// <remarks>
/// Every token at a place where one is looked for is judged; a bad one is not made good by another. A request whose only token was verified before
/// takes no lock and allocates nothing.
/// </remarks>
internal sealed class InboundAuthenticator
{
    private readonly (RouteMatcher Match, Asked? Asks)[] _rules;
    private readonly JwtPlace[] _places;
    private readonly TokenCache<Authentication> _verified = new();

    private InboundAuthenticator(JwtAuthentication filter, JwksStore? keys, TimeProvider time)
    {
        TokenVerifier[] verifiers = [.. filter.Providers.Select(p => new TokenVerifier(p, keys?.Get(p.Keys) ?? NoKeys.Instance, time))];
        _places = [.. filter.Providers.SelectMany(p => p.Places).Distinct()];
        _rules = [.. filter.Rules.Select(r => (new RouteMatcher(r.Match), Asks(r.Requirement, verifiers)))];
        ClaimHeaders = [.. filter.Providers.SelectMany(p => p.ClaimHeaders).Select(h => h.Header).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Headers that only this may write: taken from every request first.</summary>
    public IReadOnlyList<string> ClaimHeaders { get; }

    /// <param name="http">Null is nothing.</param>
    /// <param name="keys">Null for a table that fetches nothing: then no token is believed.</param>
    /// <returns>Null when no token is looked at.</returns>
    public static InboundAuthenticator? From(HttpConnectionManager? http, JwksStore? keys, TimeProvider time)
    {
        foreach (var filter in http?.Filters ?? [])
        {
            if (filter.Settings is JwtAuthentication settings)
            {
                return new InboundAuthenticator(settings, keys, time);
            }
        }

        return null;
    }

    public ValueTask<Authentication> AuthenticateAsync(RequestHead head, Random random, CancellationToken cancellationToken)
    {
        if (Find(head, random) is not { } asks)
        {
            return new(Authentication.None);
        }

        var only = -1;
        for (var i = 0; i < _places.Length; i++)
        {
            if (asks.ByPlace[i].Length > 0 && TokenReader.Read(head, _places[i]).Length > 0)
            {
                if (only >= 0)
                {
                    return JudgeAllAsync(head, asks, cancellationToken);
                }

                only = i;
            }
        }

        if (only < 0)
        {
            return new(asks.Requirement.AllowMissing ? Authentication.None : Authentication.Failed(TokenFault.Missing, string.Empty));
        }

        var token = TokenReader.Read(head, _places[only]);
        var hash = token.Length <= JsonWebToken.MaxLength ? TokenHash.Of(token, only) : default;
        if (token.Length <= JsonWebToken.MaxLength && _verified.TryGet(hash, out var known))
        {
            foreach (var verifier in asks.ByPlace[only])
            {
                if (ReferenceEquals(verifier.Provider, known.Tokens[0].Token.Provider) && verifier.StillBelieves(known.Tokens[0].Token))
                {
                    return new(known);
                }
            }
        }

        return JudgeAllAsync(head, asks, cancellationToken);
    }

    private async ValueTask<Authentication> JudgeAllAsync(RequestHead head, Asked asks, CancellationToken cancellationToken)
    {
        var found = new List<FoundToken>(1);
        Authentication? only = null;
        for (var i = 0; i < _places.Length; i++)
        {
            if (asks.ByPlace[i].Length == 0 || TokenReader.Read(head, _places[i]).Length == 0)
            {
                continue;
            }

            var judged = await JudgeAsync(head, asks, i, cancellationToken).ConfigureAwait(false);
            if (judged.Fault == TokenFault.None)
            {
                only = judged;
                found.Add(judged.Tokens[0]);
            }
            else if (!asks.Requirement.AllowFailed)
            {
                return judged;
            }
        }

        return found.Count == 1 ? only! : Authentication.Of(found);
    }

    private async ValueTask<Authentication> JudgeAsync(RequestHead head, Asked asks, int place, CancellationToken cancellationToken)
    {
        var text = TokenReader.Read(head, _places[place]);
        if (!JsonWebToken.TryParse(text, out var token, out var fault))
        {
            return Authentication.Failed(fault, string.Empty);
        }

        var hash = TokenHash.Of(text, place);
        var (worst, issuer) = (TokenFault.Issuer, string.Empty);
        foreach (var verifier in asks.ByPlace[place])
        {
            var verdict = await verifier.VerifyAsync(token, cancellationToken).ConfigureAwait(false);
            if (verdict.Token is { } verified)
            {
                var one = Authentication.Of(new FoundToken(_places[place], verified));
                _verified.Add(hash, one);
                return one;
            }

            // Of several providers the one that made it tells what is wrong with it.
            if (verdict.Fault != TokenFault.Issuer)
            {
                (worst, issuer) = (verdict.Fault, verifier.Provider.Issuer);
            }
        }

        return Authentication.Failed(worst, issuer);
    }

    private Asked? Find(RequestHead head, Random random)
    {
        foreach (var (match, asks) in _rules)
        {
            if (match.Matches(head, random))
            {
                return asks;
            }
        }

        return null;
    }

    private Asked? Asks(JwtRequirement? requirement, TokenVerifier[] verifiers) => requirement is null ? null : new Asked(
        requirement,
        [.. _places.Select(place => verifiers.Where(v => requirement.Providers.Contains(v.Provider.Name) && v.Provider.Places.Contains(place)).ToArray())]);

    /// <param name="ByPlace">Who may have made a token at each of the places.</param>
    private sealed record Asked(JwtRequirement Requirement, TokenVerifier[][] ByPlace);
}
