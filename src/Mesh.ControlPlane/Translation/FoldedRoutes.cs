using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Rbac;

namespace Mesh.ControlPlane.Translation;

/// <summary>The rules of routes with the requests that they are about, as conditions: for servers that take overrides of routes and never apply them (grpc-js).</summary>
/// <remarks>A request is that of the first match that takes it, in the order of <see cref="RoutePrecedence"/>: what an earlier one may take is left out of a later one.</remarks>
internal sealed class FoldedRoutes
{
    private readonly SortedDictionary<string, (RuleInForce Rule, List<Permission> When)> _rules = new(StringComparer.Ordinal);

    private FoldedRoutes()
    {
    }

    public static FoldedRoutes None { get; } = new();

    /// <summary>Rules of routes that are not rules of the whole port anyway.</summary>
    public IEnumerable<RuleInForce> Rules => _rules.Values.Select(r => r.Rule);

    public static FoldedRoutes Of(EffectiveAuthorization place, EffectivePolicies policies)
    {
        var folded = new FoldedRoutes();
        var everywhere = place.Rules.Select(r => r.Name).ToHashSet(StringComparer.Ordinal);
        var own = place.Routes.ToDictionary(r => (r.Route.Name, r.Route.Grpc), r => r.Rules);
        // As routes that override: rules for certain callers only (MatchPolicy) are judged as the next rule that takes the request.
        var narrowed = RuleNarrowing.Apply([.. place.Routes.Select(r => r.Route)], policies, caller: null);
        var earlier = new List<(RuleMatch Match, Permission When, ImmutableArray<RuleInForce> Own)>();
        foreach (var matched in RoutePrecedence.Order(narrowed))
        {
            if (PermissionTranslator.OfForeign(matched.Match) is not { } when)
            {
                continue;
            }

            var rules = own[(matched.Route.Name, matched.Route.Grpc)][matched.Index];
            Permission[] before = [.. earlier.Where(e => e.Own != rules && !Disjoint(e.Match, matched.Match)).Select(e => new Permission { NotRule = e.When.Clone() })];
            foreach (var rule in rules.Where(r => !everywhere.Contains(r.Name)))
            {
                if (!folded._rules.TryGetValue(rule.Name, out var known))
                {
                    folded._rules[rule.Name] = known = (rule, []);
                }

                known.When.Add(PermissionTranslator.And([when.Clone(), .. before.Select(b => b.Clone())]));
            }

            earlier.Add((matched.Match, when, rules));
        }

        return folded;
    }

    /// <summary>Null: the rule is about every request.</summary>
    public Permission? Where(RuleInForce rule) => _rules.TryGetValue(rule.Name, out var known) ? PermissionTranslator.Or(known.When) : null;

    public Permission WhereAny(IEnumerable<RuleInForce> rules) => PermissionTranslator.Or([.. rules.SelectMany(r => _rules[r.Name].When).Select(w => w.Clone())]);

    private static bool Disjoint(RuleMatch a, RuleMatch b) =>
        a.Path is { Kind: PathMatchKind.Exact } one && b.Path is { Kind: PathMatchKind.Exact } other && one.Value != other.Value;
}
