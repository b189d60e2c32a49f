using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>Attaches routes to Services and checks what they refer to.</summary>
internal sealed class RouteAssembler(
    Dictionary<ManifestKey, Manifest> objects, ImmutableDictionary<ServiceName, Service> services, ImmutableArray<SourceProblem>.Builder problems)
{
    private readonly ReferenceGrantManifest[] _grants = [.. objects.Values.OfType<ReferenceGrantManifest>()];

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
        [.. route.Parents.Select(p => Parent(route, p)).OfType<ParentRef>()],
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
            Backends = filters.Answers ? [] : [.. rule.Backends.Select((b, j) => Backend(route, b, backendsWhere[j]))],
            Filters = filters.Filters with { Direct = direct, Mirrors = [.. filters.Mirrors.Where(m => MayMirror(route, m.Mirror.Backend, m.Where)).Select(m => m.Mirror)] },
        };
    }

    private DirectResponse? Direct(RouteManifest route, string name, string where)
    {
        if (objects.GetValueOrDefault(new ManifestKey(FilterReader.DirectResponseKind, route.Key.Namespace, name)) is DirectResponseManifest found)
        {
            return found.Response;
        }

        problems.Add(new SourceProblem(where, $"{route.Key}: its {FilterReader.DirectResponseKind} '{route.Key.Namespace}/{name}' is in no file. Every call of the rule {RouteFields.Failure(route.Key)}: add it or correct the name."));
        return null;
    }

    /// <summary>A mirror that is none is told and left out; the rule stays in force (Gateway API).</summary>
    private bool MayMirror(RouteManifest route, BackendRef mirror, string where)
    {
        var why = mirror.Service.Namespace != route.Key.Namespace && !_grants.Any(g => g.Allows(route.Key, mirror.Service))
                ? $"is in another namespace. Nothing is copied until a ReferenceGrant in '{mirror.Service.Namespace}' allows it"
            : !services.TryGetValue(mirror.Service, out var service) ? "is in no file. Nothing is copied: add the Service or correct the name"
            : !service.Ports.Any(p => p.Port == mirror.Port) ? $"has no port {mirror.Port}. Nothing is copied: use one of {Ports(service)}"
            : null;
        if (why is not null)
        {
            problems.Add(new SourceProblem(where, $"{route.Key}: its mirror '{mirror.Service}' {why}."));
        }

        return why is null;
    }

    private ParentRef? Parent(RouteManifest route, ParentRefManifest parent)
    {
        if (!services.TryGetValue(parent.Service, out var service))
        {
            problems.Add(new SourceProblem(parent.Where, $"{route.Key}: its parent Service '{parent.Service}' is in no file, so the route has no effect there. Add the Service or correct the parentRef."));
            return null;
        }

        var port = service.Ports.FirstOrDefault(p =>
            (parent.Port is null || p.Port == parent.Port) && (parent.SectionName is null || p.Name == parent.SectionName));
        if (port is null)
        {
            var asked = parent.Port is { } number ? $"port {number}" : $"port '{parent.SectionName}'";
            problems.Add(new SourceProblem(parent.Where, $"{route.Key}: its parent Service '{parent.Service}' has no {asked}, so the route has no effect there. It has {Ports(service)}."));
            return null;
        }

        return new ParentRef(parent.Service, parent.Port is null && parent.SectionName is null ? null : port.Port);
    }

    private BackendRef Backend(RouteManifest route, BackendRef backend, string where)
    {
        if (backend.Refused)
        {
            return backend;
        }

        if (backend.Service.Namespace != route.Key.Namespace && !_grants.Any(g => g.Allows(route.Key, backend.Service)))
        {
            problems.Add(new SourceProblem(where, $"{route.Key}: its backend '{backend.Service}' is in another namespace. Its share {RouteFields.Failure(route.Key)} until a ReferenceGrant in '{backend.Service.Namespace}' allows it."));
            return backend with { Refused = true };
        }

        if (!services.TryGetValue(backend.Service, out var service))
        {
            problems.Add(new SourceProblem(where, $"{route.Key}: its backend Service '{backend.Service}' is in no file. Its share {RouteFields.Failure(route.Key)}: add the Service or correct the name."));
        }
        else if (!service.Ports.Any(p => p.Port == backend.Port))
        {
            problems.Add(new SourceProblem(where, $"{route.Key}: its backend Service '{backend.Service}' has no port {backend.Port}. Its share {RouteFields.Failure(route.Key)}: use one of {Ports(service)}."));
        }

        return backend;
    }

    /// <summary>GRPCRoutes go before HTTPRoutes on the same port of a Service: tell whose rules are not asked.</summary>
    private void ReportShadowed(RouteManifest[] manifests, ImmutableArray<TrafficRoute> routes)
    {
        for (var i = 0; i < routes.Length; i++)
        {
            var http = routes[i];
            if (!http.Grpc && routes.FirstOrDefault(r => r.Grpc && r.Namespace == http.Namespace && r.Parents.Any(p => http.Parents.Any(h => Overlap(p, h)))) is { } grpc)
            {
                problems.Add(new SourceProblem(manifests[i].Where, $"{manifests[i].Key}: GRPCRoute '{grpc.Namespace}/{grpc.Name}' is attached to the same port of the same Service and goes first, so this route is not asked there. Attach only one kind to a port."));
            }
        }
    }

    private static bool Overlap(ParentRef a, ParentRef b) => a.Service == b.Service && (a.Port is null || b.Port is null || a.Port == b.Port);

    private static string Ports(Service service) => string.Join(", ", service.Ports.Select(p => p.Name.Length == 0 ? $"{p.Port}" : $"{p.Port} ('{p.Name}')"));
}
