using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Translation;

/// <summary>A model arranged for questions, built once per model.</summary>
internal sealed class ModelIndex
{
    private readonly Lazy<AddressIndex> _addresses;
    private readonly ILookup<ServiceName, TrafficRoute> _routes;
    private readonly ILookup<ServiceName, ConnectionRoute> _connectionRoutes;

    /// <param name="defaults">What holds where no ServerPolicy speaks; null: what does without options.</param>
    public ModelIndex(MeshModel model, ServerDefaults? defaults = null)
    {
        Policies = new EffectivePolicies(model);
        Authorization = new AuthorizationIndex(model, defaults ?? ServerDefaults.Default);
        _routes = model.Routes.SelectMany(r => r.Parents.Select(p => p.Service).Distinct().Select(s => (Service: s, Route: r))).ToLookup(x => x.Service, x => x.Route);
        _connectionRoutes = model.ConnectionRoutes.SelectMany(r => r.Parents.Select(p => p.Service).Distinct().Select(s => (Service: s, Route: r))).ToLookup(x => x.Service, x => x.Route);
        _addresses = new(() => new AddressIndex(model));
    }

    public EffectivePolicies Policies { get; }

    public AuthorizationIndex Authorization { get; }

    public bool IsEndpoint(string hostPort) => _addresses.Value.Behind(hostPort).Count > 0;

    /// <summary>What holds for each Service's port that an address stands behind, by the Services' names.</summary>
    public IReadOnlyList<EffectiveSettings> BehindWhich(string hostPort) =>
        [.. _addresses.Value.Behind(hostPort).Select(s => Policies.ForPort(s.Service, s.Port))];

    /// <summary>Some call of this namespace's callers may be delayed or refused on purpose.</summary>
    public bool HasFaults(ServiceName service, int port, string callerNamespace)
    {
        if (!Policies.IsSaidAnywhere(FaultSettings.Fault))
        {
            return false;
        }

        var routes = RoutesFor(service, port, callerNamespace);
        return routes.IsEmpty
            ? !Policies.ForPort(service, port).Get(FaultSettings.Fault).IsNone
            : routes.Any(route => Enumerable.Range(0, route.Rules.Length).Any(i => !Policies.ForRule(service, port, route, i).Get(FaultSettings.Fault).IsNone));
    }

    /// <param name="instance">One endpoint of the Service; null is the Service.</param>
    public bool TryListener(string hostPort, out ServiceName service, out int port, out string? instance) => _addresses.Value.TryListener(hostPort, out service, out port, out instance);

    /// <summary>The routes in force for callers of one namespace, best first.</summary>
    /// <remarks>
    /// Gateway API, GAMMA: a route of the caller's namespace (consumer route) replaces those of the Service's namespace; a route of a third one has no effect.
    /// GRPCRoutes go before HTTPRoutes on the same port.
    /// </remarks>
    public ImmutableArray<TrafficRoute> RoutesFor(ServiceName service, int port, string callerNamespace)
    {
        var inForce = InForce(_routes[service].Where(r => IsParent(r.Parents, service, port)), r => r.Namespace, service, callerNamespace);
        var grpc = Array.FindAll(inForce, r => r.Grpc);
        return [.. grpc.Length > 0 ? grpc : inForce];
    }

    /// <summary>The TLSRoutes or TCPRoutes in force for callers of one namespace, best first. As with other routes the caller's own replace the Service's.</summary>
    public IReadOnlyList<ConnectionRoute> ConnectionRoutesFor(ServiceName service, int port, string callerNamespace, bool tls) =>
        InForce(_connectionRoutes[service].Where(r => r.Tls == tls && IsParent(r.Parents, service, port)), r => r.Namespace, service, callerNamespace);

    private static bool IsParent(ImmutableArray<ParentRef> parents, ServiceName service, int port) => parents.Any(p => p.Service == service && (p.Port is null || p.Port == port));

    private static T[] InForce<T>(IEnumerable<T> attached, Func<T, string> namespaceOf, ServiceName service, string callerNamespace)
    {
        var all = attached.ToArray();
        var consumer = callerNamespace == service.Namespace ? [] : Array.FindAll(all, r => namespaceOf(r) == callerNamespace);
        return consumer.Length > 0 ? consumer : Array.FindAll(all, r => namespaceOf(r) == service.Namespace);
    }

    /// <summary>A rule in force for these callers keeps sessions.</summary>
    public bool HasSessions(ServiceName service, int port, string callerNamespace) =>
        _routes.Contains(service) && RoutesFor(service, port, callerNamespace).Any(r => r.Rules.Any(rule => rule.Session is not null));

    public static string HostPort(string ip, int port) => ip.Contains(':', StringComparison.Ordinal) ? $"[{ip}]:{port}" : $"{ip}:{port}";
}
