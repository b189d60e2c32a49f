using System.Collections.Immutable;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Route;
using Route = Mesh.Protos.Envoy.Route.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes routes of an inbound listener for rules of HTTPRoutes and GRPCRoutes that have authorization of their own.</summary>
/// <remarks>
/// All rules of these routes stand there in the order in which they are asked, so that a request is judged as the rule that takes it. A rule's requests in another case, of the path or the method, or
/// with another slash at the end may be the same to the app (ASP.NET's routing) and may not: they come after the exact ones of the same rank, and get in only as both would let them in.
/// </remarks>
internal sealed class InboundRoutes(EffectiveAuthorization place, RbacTranslator rbac)
{
    private const string InDoubt = "~";

    public IEnumerable<Route> Write(EffectivePolicies policies)
    {
        // Rules for certain callers only (MatchPolicy) are judged as the next rule that takes the request.
        var narrowed = RuleNarrowing.Apply([.. place.Routes.Select(r => r.Route)], policies, caller: null);
        var own = place.Routes.ToDictionary(r => (r.Route.Name, r.Route.Grpc), r => r.Rules);
        foreach (var rank in RoutePrecedence.Order(narrowed).GroupBy(m => (Rank(m.Match.Path), m.Match.Method is null)))
        {
            foreach (var matched in rank)
            {
                foreach (var match in MatchTranslator.Translate(matched.Match, mesh: true))
                {
                    yield return Written(matched, match, Of(matched), inDoubt: false);
                }
            }

            foreach (var matched in rank.Where(m => !Of(m).IsEmpty))
            {
                foreach (var match in MatchTranslator.Translate(matched.Match, mesh: true).SelectMany(Spellings))
                {
                    yield return Written(matched, match, Of(matched), inDoubt: true);
                }
            }
        }

        ImmutableArray<RuleInForce> Of(MatchedRule matched) => own[(matched.Route.Name, matched.Route.Grpc)][matched.Index];
    }

    private Route Written(MatchedRule matched, RouteMatch match, IReadOnlyCollection<RuleInForce> own, bool inDoubt)
    {
        var route = new Route { Name = inDoubt ? matched.Name + InDoubt : matched.Name, Match = AsSeen(match), NonForwardingAction = new NonForwardingAction() };
        var rules = place.Rules.Concat(own).DistinctBy(r => r.Name).ToArray();
        if (own.Any(r => !r.IsAllow))
        {
            Add(AuthorizationTranslator.DenyFilter, rbac.Deny(rules));
        }

        // In doubt: where the whole port has Allow rules those of the route open nothing.
        if (own.Any(r => r.IsAllow) && !(inDoubt && place.Rules.Any(r => r is { IsAllow: true, Audit: false })))
        {
            Add(AuthorizationTranslator.AllowFilter, rbac.Allow(rules, within: inDoubt));
        }

        return route;

        void Add(string filter, RbacPair pair) => route.TypedPerFilterConfig.Add(filter, Any.Pack(new RBACPerRoute { Rbac = AuthorizationTranslator.Config(pair) }));
    }

    /// <summary>Routes stand as a path goes over the wire; our servers see it decoded. Expressions with an escape are refused where they are attached to.</summary>
    private static RouteMatch AsSeen(RouteMatch match)
    {
        if (match.PathSpecifierCase == RouteMatch.PathSpecifierOneofCase.Path)
        {
            match.Path = Uri.UnescapeDataString(match.Path);
        }
        else if (match.PathSpecifierCase == RouteMatch.PathSpecifierOneofCase.PathSeparatedPrefix)
        {
            match.PathSeparatedPrefix = Uri.UnescapeDataString(match.PathSeparatedPrefix);
        }

        return match;
    }

    /// <summary>As <see cref="RoutePrecedence"/> orders paths.</summary>
    private static (int, int) Rank(PathMatch? path) => path switch
    {
        { Kind: PathMatchKind.Exact } => (0, 0),
        { Kind: PathMatchKind.RegularExpression or PathMatchKind.Template } => (2, 0),
        null or { Value: "/" } => (3, 0),
        _ => (1, path.Value.TrimEnd('/').Length),
    };

    /// <summary>The same requests in other spellings; none of what takes everything.</summary>
    private static IEnumerable<RouteMatch> Spellings(RouteMatch match)
    {
        switch (match.PathSpecifierCase)
        {
            case RouteMatch.PathSpecifierOneofCase.Path:
                var path = match.Path.TrimEnd('/');
                return [.. path.Length == 0 ? (RouteMatch[])[] : [With(match, m => m.Path = path)], With(match, m => m.Path = path + "/")];
            case RouteMatch.PathSpecifierOneofCase.PathSeparatedPrefix:
                return [With(match, m => m.PathSeparatedPrefix = match.PathSeparatedPrefix)];
            case RouteMatch.PathSpecifierOneofCase.SafeRegex:
                return [Expression(match.SafeRegex.Regex)];
            case RouteMatch.PathSpecifierOneofCase.PathMatchPolicy:
                return [Expression(PathTemplateRegex.Of(match.PathMatchPolicy.TypedConfig.Unpack<Protos.Envoy.Path.UriTemplateMatchConfig>().PathTemplate))];
            default:
                return match.Headers.Any(IsMethod) ? [With(match, _ => { })] : [];
        }

        RouteMatch Expression(string expression) =>
            With(match, m => m.SafeRegex = new Protos.Envoy.Matcher.RegexMatcher { GoogleRe2 = new Empty(), Regex = $"(?i)(?:{expression})/?" });
    }

    private static RouteMatch With(RouteMatch match, Action<RouteMatch> change)
    {
        var other = match.Clone();
        change(other);
        // Expressions say it themselves.
        other.CaseSensitive = other.PathSpecifierCase == RouteMatch.PathSpecifierOneofCase.SafeRegex ? null : false;
        foreach (var method in other.Headers.Where(IsMethod))
        {
            method.StringMatch = new Protos.Envoy.Matcher.StringMatcher { Exact = method.ExactMatch, IgnoreCase = true };
        }

        return other;
    }

    private static bool IsMethod(HeaderMatcher header) => header.Name == ":method";
}
