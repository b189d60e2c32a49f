using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Follows the references of routes to Services, and tells what is wrong with them.</summary>
internal sealed class RouteReferences(
    Dictionary<ManifestKey, Manifest> objects, ImmutableDictionary<ServiceName, Service> services, ImmutableArray<SourceProblem>.Builder problems)
{
    private readonly List<(ManifestKey Route, RouteFinding Finding)> _findings = [];
    private readonly ReferenceGrantManifest[] _grants = [.. objects.Values.OfType<ReferenceGrantManifest>()];

    /// <summary>By route, what its references showed.</summary>
    public ILookup<ManifestKey, RouteFinding> Findings => _findings.ToLookup(f => f.Route, f => f.Finding);

    /// <summary>A mirror that is none is told and left out; the rule stays in force (Gateway API).</summary>
    public bool MayMirror(ManifestKey route, BackendRef mirror, string where)
    {
        var permitted = mirror.Service.Namespace == route.Namespace || _grants.Any(g => g.Allows(route, mirror.Service));
        var why = !permitted ? $"is in another namespace. Nothing is copied until a ReferenceGrant in '{mirror.Service.Namespace}' allows it"
            : !services.TryGetValue(mirror.Service, out var service) ? "does not exist. Nothing is copied: add the Service or correct the name"
            : service.FindPort(mirror.Port) is null ? $"has no port {mirror.Port}. Nothing is copied: use one of {Ports(service)}"
            : null;
        if (why is not null)
        {
            Add(route, where, permitted ? RouteFinding.BackendNotFound : RouteFinding.RefNotPermitted, $"its mirror '{mirror.Service}' {why}.", fails: false);
        }

        return why is null;
    }

    public ParentRef? Parent(ManifestKey route, ParentRefManifest parent)
    {
        if (!services.TryGetValue(parent.Service, out var service))
        {
            problems.Add(new SourceProblem(parent.Where, $"{route}: its parent Service '{parent.Service}' does not exist, so the route has no effect there. Add the Service or correct the parentRef."));
            return null;
        }

        var port = service.Ports.FirstOrDefault(p =>
            (parent.Port is null || p.Port == parent.Port) && (parent.SectionName is null || p.Name == parent.SectionName));
        if (port is null)
        {
            var asked = parent.Port is { } number ? $"port {number}" : $"port '{parent.SectionName}'";
            problems.Add(new SourceProblem(parent.Where, $"{route}: its parent Service '{parent.Service}' has no {asked}, so the route has no effect there. It has {Ports(service)}."));
            return null;
        }

        return new ParentRef(parent.Service, parent.Port is null && parent.SectionName is null ? null : port.Port);
    }

    public BackendRef Backend(ManifestKey route, BackendRef backend, string where)
    {
        if (backend.Refused)
        {
            return backend;
        }

        if (backend.Service.Namespace != route.Namespace && !_grants.Any(g => g.Allows(route, backend.Service)))
        {
            Add(route, where, RouteFinding.RefNotPermitted, $"its backend '{backend.Service}' is in another namespace. Its share {RouteFields.Failure(route)} until a ReferenceGrant in '{backend.Service.Namespace}' allows it.");
            return backend with { Refused = true };
        }

        if (!services.TryGetValue(backend.Service, out var service))
        {
            Add(route, where, RouteFinding.BackendNotFound, $"its backend Service '{backend.Service}' does not exist. Its share {RouteFields.Failure(route)}: add the Service or correct the name.");
        }
        else if (service.FindPort(backend.Port) is null)
        {
            Add(route, where, RouteFinding.BackendNotFound, $"its backend Service '{backend.Service}' has no port {backend.Port}. Its share {RouteFields.Failure(route)}: use one of {Ports(service)}.");
        }
        else if (route.Kind is "HTTPRoute" or "GRPCRoute" && PortContent.Of(service.FindPort(backend.Port)!).IsOpaque && service.FindPort(backend.Port)!.AppProtocol is { Length: > 0 } protocol)
        {
            Add(route, where, RouteFinding.UnsupportedProtocol, $"port {backend.Port} of its backend Service '{backend.Service}' has appProtocol '{protocol}', which is none that carries requests of a {route.Kind}: correct one of the two.", fails: false);
        }

        return backend;
    }

    /// <summary>A reference that leads nowhere, for the problems and for the route's status.</summary>
    public void Add(ManifestKey route, string where, string reason, string what, bool fails = true)
    {
        problems.Add(new SourceProblem(where, $"{route}: {what}"));
        _findings.Add((route, new RouteFinding(RouteCondition.ResolvedRefs, reason, what, fails)));
    }

    /// <summary>Some port of a Service has both.</summary>
    public static bool Overlap(ParentRef a, ParentRef b) => a.Service == b.Service && (a.Port is null || b.Port is null || a.Port == b.Port);

    private static string Ports(Service service) => string.Join(", ", service.Ports.Select(p => p.Name.Length == 0 ? $"{p.Port}" : $"{p.Port} ('{p.Name}')"));
}
