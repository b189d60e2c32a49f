using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Translation;

/// <summary>Applies MatchPolicies: marks rules that are for other callers, and puts path templates into the matches of the rest.</summary>
internal static class RuleNarrowing
{
    /// <param name="caller">Verified; null is nobody that a rule for certain callers could mean.</param>
    public static ImmutableArray<TrafficRoute> Apply(ImmutableArray<TrafficRoute> routes, EffectivePolicies policies, SpiffeId? caller) =>
        [.. routes.Select(route => route with { Rules = [.. route.Rules.Select((rule, i) => Narrow(rule, policies.ForRuleAlone(route, i), caller))] })];

    private static RouteRule Narrow(RouteRule rule, EffectiveSettings settings, SpiffeId? caller)
    {
        var callers = settings.Get(MatchSettings.Callers);
        var others = callers.Length > 0 && !(caller is { Namespace: { } ns, ServiceAccount: { } account } && callers.Any(c => c.Is(ns, account)));
        var template = settings.Get(MatchSettings.PathTemplate);
        if (template.Length == 0)
        {
            return callers.Length > 0 ? rule with { ForSome = true, ForOthers = others } : rule;
        }

        var path = new PathMatch(PathMatchKind.Template, template);
        return rule with { ForSome = callers.Length > 0, ForOthers = others, Matches = rule.Matches.IsEmpty ? [new RuleMatch(path, null, [], [])] : [.. rule.Matches.Select(m => m with { Path = path })] };
    }
}
