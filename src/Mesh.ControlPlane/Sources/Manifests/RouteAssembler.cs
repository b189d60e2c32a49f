using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Attaches routes to Services and checks what they refer to.</summary>
internal sealed class RouteAssembler(
    Dictionary<ManifestKey, Manifest> objects, RouteReferences references, ImmutableArray<SourceProblem>.Builder problems)
{
    /// <summary>Oldest first, then by namespace and name (Gateway API precedence).</summary>
    public ImmutableArray<TrafficRoute> Assemble()
    {
        var manifests = objects.Values.OfType<RouteManifest>()
            .OrderBy(r => r.Created ?? DateTimeOffset.MaxValue).ThenBy(r => r.Key.Namespace, StringComparer.Ordinal).ThenBy(r => r.Key.Name, StringComparer.Ordinal)
            .ThenBy(r => r.Grpc)
            .ToArray();
        var routes = manifests.Select(Route).ToImmutableArray();
        ReportShadowed(manifests, routes);
        return routes;
    }

    private TrafficRoute Route(RouteManifest route) => new(
        route.Key.Namespace, route.Key.Name, route.Grpc,
        [.. route.Parents.Select(p => references.Parent(route.Key, p)).OfType<ParentRef>()],
        [.. route.Rules.Select((rule, i) => Rule(route, rule, route.BackendsWhere[i], route.Filters[i]))])
    {
        Where = route.Where,
    };

    private RouteRule Rule(RouteManifest route, RouteRule rule, ImmutableArray<string> backendsWhere, RuleFiltersManifest filters)
    {
        var direct = filters.Direct is { } named ? Direct(route, named.Name, named.Where) : null;
        if (filters.Broken || (filters.Direct is not null && direct is null))
        {
            // Every call fails (Gateway API): a filter is never left out.
            return rule with { Backends = [] };
        }

        return rule with
        {
            Backends = filters.Answers ? [] : [.. rule.Backends.Select((b, j) => references.Backend(route.Key, b, backendsWhere[j]))],
            Filters = filters.Filters with { Direct = direct, Mirrors = [.. filters.Mirrors.Where(m => references.MayMirror(route.Key, m.Mirror.Backend, m.Where)).Select(m => m.Mirror)] },
        };
    }

    private DirectResponse? Direct(RouteManifest route, string name, string where)
    {
        if (objects.GetValueOrDefault(new ManifestKey(FilterReader.DirectResponseKind, route.Key.Namespace, name)) is DirectResponseManifest found)
        {
            return found.Response;
        }

        references.Add(route.Key, where, RouteFinding.BackendNotFound, $"its {FilterReader.DirectResponseKind} '{route.Key.Namespace}/{name}' does not exist. Every call of the rule {RouteFields.Failure(route.Key)}: add it or correct the name.");
        return null;
    }

    /// <summary>GRPCRoutes go before HTTPRoutes on the same port of a Service: tell whose rules are not asked.</summary>
    private void ReportShadowed(RouteManifest[] manifests, ImmutableArray<TrafficRoute> routes)
    {
        for (var i = 0; i < routes.Length; i++)
        {
            var http = routes[i];
            if (!http.Grpc && routes.FirstOrDefault(r => r.Grpc && r.Namespace == http.Namespace && r.Parents.Any(p => http.Parents.Any(h => RouteReferences.Overlap(p, h)))) is { } grpc)
            {
                problems.Add(new SourceProblem(manifests[i].Where, $"{manifests[i].Key}: GRPCRoute '{grpc.Namespace}/{grpc.Name}' is attached to the same port of the same Service and goes first, so this route is not asked there. Attach only one kind to a port."));
            }
        }
    }
}
