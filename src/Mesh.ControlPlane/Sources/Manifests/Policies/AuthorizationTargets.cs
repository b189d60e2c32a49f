using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Finds routes whose requests can't be told apart where authorization happens: at the server, which sees them as they arrive.</summary>
internal sealed class AuthorizationTargets(Dictionary<ManifestKey, Manifest> objects, MeshModel model)
{
    /// <summary>Why a policy can't be held at a route, with the fix; null when it can.</summary>
    public string? Unfit(TrafficPolicy policy, PolicyTarget target)
    {
        if (target.Kind is not (PolicyTargetKind.HTTPRoute or PolicyTargetKind.GRPCRoute)
            || model.Routes.FirstOrDefault(r => r.Grpc == (target.Kind == PolicyTargetKind.GRPCRoute) && r.Namespace == policy.Name.Namespace && r.Name == target.Name) is not { } route)
        {
            return null;
        }

        if (!route.Parents.Select(p => p.Service).Concat(route.Rules.SelectMany(r => r.Backends).Where(b => !b.Refused).Select(b => b.Service)).Any(s => s.Namespace == route.Namespace))
        {
            return $"The route leads to no Service of namespace '{route.Namespace}', and a policy has no say in others. Put the policy where the Service is.";
        }

        for (var i = 0; i < route.Rules.Length; i++)
        {
            var rule = route.Rules[i];
            if (target.Section is not null && rule.Name != target.Section)
            {
                continue;
            }

            if (Changed(rule) is { } changed)
            {
                return $"Its rule {(rule.Name.Length > 0 ? $"'{rule.Name}'" : Shown.Number(i))} {changed} Attach the policy to the Service and say which requests in 'to', or change the rule.";
            }

            if (NarrowedBy(route, target, rule) is { } narrowing)
            {
                return $"Its rule {(rule.Name.Length > 0 ? $"'{rule.Name}'" : Shown.Number(i))} is for some callers only ({narrowing}). Attach the policy to the Service and say who in 'from', or remove callers.";
            }
        }

        return null;
    }

    private static string? Changed(RouteRule rule)
    {
        if (rule.Filters.Rewrite?.Path is not null)
        {
            return "rewrites the path, so that its requests can't be told from others at the server.";
        }

        if (rule.Matches.Any(m => m.Path is { Kind: PathMatchKind.RegularExpression or PathMatchKind.Template, Value: var path } && path.Contains('%', StringComparison.Ordinal)))
        {
            return "has an expression with '%', and servers see paths decoded.";
        }

        var modified = rule.Filters.RequestHeaders is not { } headers ? [] : headers.Set.Concat(headers.Add).Select(h => h.Name).Concat(headers.Remove);
        return rule.Matches.SelectMany(m => m.Headers).FirstOrDefault(h => modified.Contains(h.Name, StringComparer.OrdinalIgnoreCase)) is { } header
            ? $"matches by header {header.Name} and changes it, so that its requests can't be told from others at the server."
            : null;
    }

    private string? NarrowedBy(TrafficRoute route, PolicyTarget target, RouteRule rule) => objects.Values.OfType<PolicyManifest>()
        .FirstOrDefault(p => p.Key.Namespace == route.Namespace && p.Values.Any(v => v.Setting == MatchSettings.Callers)
            && p.Targets.Any(t => t.Target.Kind == target.Kind && t.Target.Name == route.Name && (t.Target.Section is null || t.Target.Section == rule.Name)))
        is { } narrowing ? $"{narrowing.Key} at {narrowing.Where}" : null;
}
