using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Attaches TLSRoutes and TCPRoutes to Services and checks what they refer to.</summary>
internal sealed class ConnectionRouteAssembler(
    Dictionary<ManifestKey, Manifest> objects, ImmutableDictionary<ServiceName, Service> services, RouteReferences references, ImmutableArray<SourceProblem>.Builder problems)
{
    /// <summary>Oldest first, then by namespace and name (Gateway API precedence).</summary>
    public ImmutableArray<ConnectionRoute> Assemble()
    {
        var manifests = objects.Values.OfType<ConnectionRouteManifest>()
            .OrderBy(r => r.Created ?? DateTimeOffset.MaxValue).ThenBy(r => r.Key.Namespace, StringComparer.Ordinal).ThenBy(r => r.Key.Name, StringComparer.Ordinal)
            .ThenBy(r => r.Tls)
            .ToArray();
        var routes = manifests.Select(Route).ToImmutableArray();
        for (var i = 0; i < routes.Length; i++)
        {
            ReportShadowed(manifests[i], routes[i], routes[..i]);
            ReportUnread(manifests[i], routes[i]);
        }

        return routes;
    }

    private ConnectionRoute Route(ConnectionRouteManifest route) => new(
        route.Key.Namespace, route.Key.Name, route.Tls, route.Hostnames,
        [.. route.Parents.Select(p => references.Parent(route.Key, p)).OfType<ParentRef>()],
        [.. route.Backends.Select((b, i) => references.Backend(route.Key, b, route.BackendsWhere[i]))])
    {
        Where = route.Where,
    };

    /// <summary>Each connection goes by one route: tell whose are taken by an older one.</summary>
    private void ReportShadowed(ConnectionRouteManifest manifest, ConnectionRoute route, ImmutableArray<ConnectionRoute> older)
    {
        foreach (var first in older.Where(o => o.Tls == route.Tls && o.Namespace == route.Namespace && o.Parents.Any(p => route.Parents.Any(q => RouteReferences.Overlap(p, q)))))
        {
            if (!route.Tls)
            {
                problems.Add(new SourceProblem(manifest.Where, $"{manifest.Key}: TCPRoute '{first.Namespace}/{first.Name}' is attached to the same port of the same Service and is older, so this route has no effect there. Attach one to a port."));
                return;
            }

            foreach (var name in route.Hostnames.Intersect(first.Hostnames, StringComparer.Ordinal))
            {
                problems.Add(new SourceProblem(manifest.Where, $"{manifest.Key}: its hostname '{name}' is taken by TLSRoute '{first.Namespace}/{first.Name}', which is attached to the same port of the same Service and is older. Name it in one of them."));
            }
        }
    }

    /// <summary>Where a sidecar does not look at the bytes, it sees no server name.</summary>
    private void ReportUnread(ConnectionRouteManifest manifest, ConnectionRoute route)
    {
        if (!route.Tls)
        {
            return;
        }

        foreach (var parent in route.Parents)
        {
            foreach (var port in services[parent.Service].Ports.Where(p => (parent.Port is null || p.Port == parent.Port) && !PortContent.Of(p).Tls))
            {
                problems.Add(new SourceProblem(manifest.Where, $"{manifest.Key}: port {port.Port} of Service '{parent.Service}' is opaque, so no server name is read and this route has no effect there. Give the port appProtocol: tls."));
            }
        }
    }
}
