using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>One match of one rule: what becomes one route on the wire.</summary>
internal sealed record MatchedRule(TrafficRoute Route, RouteRule Rule, RuleMatch Match, string Name)
{
    /// <summary>The rule's position in its route.</summary>
    public required int Index { get; init; }

    /// <summary>Takes every call that comes to it.</summary>
    public bool IsCatchAll => Match is { Path: null or { Kind: PathMatchKind.PathPrefix, Value: "/" }, Method: null, Headers.Length: 0, QueryParameters.Length: 0 };
}

/// <summary>Puts the rules of several routes in the order in which they are asked (Gateway API, HTTPRouteRule.matches).</summary>
internal static class RoutePrecedence
{
    private static readonly RuleMatch Everything = new(null, null, [], []);

    /// <remarks>Exact path, then the longest prefix, then regular expressions, then no condition on the path (else it would hide the expressions); then with a method; most headers; most query parameters; for certain callers (MatchPolicy); then as given: oldest, by name, first rule.</remarks>
    public static IEnumerable<MatchedRule> Order(ImmutableArray<TrafficRoute> routes) => routes
        .SelectMany(route => route.Rules.SelectMany((rule, i) => rule.ForOthers ? [] : (rule.Matches.IsEmpty ? [Everything] : rule.Matches)
            .Select(match => new MatchedRule(route, rule, match, NameOf(route, rule, i)) { Index = i })))
        .OrderBy(r => r.Match.Path switch
        {
            { Kind: PathMatchKind.Exact } => 0,
            { Kind: PathMatchKind.RegularExpression or PathMatchKind.Template } => 2,
            null or { Value: "/" } => 3,
            _ => 1,
        })
        .ThenByDescending(r => r.Match.Path?.Kind == PathMatchKind.PathPrefix ? r.Match.Path.Value.TrimEnd('/').Length : 0)
        .ThenByDescending(r => r.Match.Method is not null)
        .ThenByDescending(r => r.Match.Headers.Length)
        .ThenByDescending(r => r.Match.QueryParameters.Length)
        .ThenByDescending(r => r.Rule.ForSome);

    private static string NameOf(TrafficRoute route, RouteRule rule, int index) =>
        $"{route.Namespace}/{route.Name}/{(rule.Name.Length > 0 ? rule.Name : index.ToString(System.Globalization.CultureInfo.InvariantCulture))}";
}
