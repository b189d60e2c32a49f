using System.Runtime.CompilerServices;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Listener;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Translation;

/// <summary>Finds what a name means in the model and lets the translator of its type write it.</summary>
/// <remarks>Thread-safe. Equal models and nodes give equal bytes: everything is written in a fixed order.</remarks>
internal sealed class ResourceTranslator : IResourceTranslator
{
    private const int HttpPort = 80;
    private readonly ResourceNames _names;
    private readonly ClusterTranslator _clusters;
    private readonly EndpointTranslator _endpoints;
    private readonly RouteTranslator _routes;
    private readonly SidecarTranslator _sidecars;
    private readonly AuthorizationTranslator _authorization;
    private readonly ServerDefaults _defaults;

    // An index lives as long as its model does.
    private readonly ConditionalWeakTable<MeshModel, ModelIndex> _indexes = [];

    public ResourceTranslator(TranslationOptions options)
    {
        _names = new ResourceNames(options.ClusterDomain);
        _clusters = new ClusterTranslator(options.TrustDomain);
        _endpoints = new EndpointTranslator(options.TrustDomain);
        _routes = new RouteTranslator(_names);
        _sidecars = new SidecarTranslator(_names);
        _authorization = new AuthorizationTranslator(options.TrustDomain, options.Defaults);
        _defaults = options.Defaults;
    }

    public TranslatedResource Translate(MeshModel model, NodeContext node, string typeUrl, string name) => typeUrl switch
    {
        XdsTypes.Listener => Listener(model, node, name),
        XdsTypes.RouteConfiguration => Routes(model, node, name),
        XdsTypes.Cluster => Cluster(model, node, name),
        XdsTypes.ClusterLoadAssignment => Endpoints(model, node, name),
        _ => None($"Resources of type '{typeUrl}' are not translated from the model."),
    };

    public AnswerBasis? BasisOf(NodeContext node, string typeUrl, string name)
    {
        if (typeUrl == XdsTypes.Listener && InboundPrefix(name) is { } prefix)
        {
            var own = AnswerBasis.Of(node);
            return ResourceNames.TryAddress(name[prefix.Length..], out var bound, out _) ? own with { Addresses = own.Addresses.Add(bound.ToString()) } : own;
        }

        if (typeUrl == XdsTypes.Listener && ResourceNames.TryAddress(name, out var ip, out _))
        {
            return new AnswerBasis { Addresses = [ip.ToString()] };
        }

        if (typeUrl == XdsTypes.Listener)
        {
            return ResourceNames.TrySplit(name, out var host, out _) && _names.TryHost(host, node.Namespace, out var called, out _)
                ? new AnswerBasis { Services = ResourceNames.TryInstance(host, node.Namespace, out var owning, out _) ? [called, owning] : [called] }
                : new AnswerBasis();
        }

        ServiceName service = default;
        var named = typeUrl == XdsTypes.RouteConfiguration ? _names.TryRoutes(name, out service, out _, out _) : _names.TryCluster(name, out service, out _, out _);
        return named ? new AnswerBasis { Services = [service] } : new AnswerBasis();
    }

    private static string? InboundPrefix(string name) =>
        name.StartsWith(XdsTypes.InboundPrefix, StringComparison.Ordinal) ? XdsTypes.InboundPrefix
        : name.StartsWith(XdsTypes.GrpcServerPrefix, StringComparison.Ordinal) ? XdsTypes.GrpcServerPrefix
        : null;

    private ModelIndex IndexOf(MeshModel model) => _indexes.GetValue(model, m => new ModelIndex(m, _defaults));

    private TranslatedResource Listener(MeshModel model, NodeContext node, string name)
    {
        if (InboundPrefix(name) is { } prefix)
        {
            return Inbound(model, node, name, prefix);
        }

        if (ResourceNames.TryAddress(name, out var ip, out var ipPort))
        {
            return IndexOf(model).TryListener(ModelIndex.HostPort(ip.ToString(), ipPort), out var owner, out var ownerPort, out var one)
                ? Outbound(model, node, name, owner, ownerPort, one, isAddress: true)
                : None($"No Service has the address {name}. Add it to a Service's EndpointSlice, or call the Service by name.");
        }

        if (!ResourceNames.TrySplit(name, out var host, out var port) || !_names.TryHost(host, node.Namespace, out var service, out var instance))
        {
            return None($"'{name}' is no name of a Service. Use <service>, <service>.<namespace>, <service>.<namespace>.svc or the full name, with or without a port.");
        }

        if (!model.Services.TryGetValue(service, out var found) && ResourceNames.TryInstance(host, node.Namespace, out var owning, out var label) && model.Services.TryGetValue(owning, out found))
        {
            (service, instance) = (owning, label);
        }

        if (found is null)
        {
            return None($"There is no Service '{service}' ('{name}' asked by {node.Id} in namespace '{node.Namespace}').");
        }

        if (instance is not null && !found.Endpoints.Any(e => e.Instance == instance))
        {
            return None($"Service '{service}' has no endpoint '{instance}'. Its Pod may not have an address yet.");
        }

        (service, found) = Followed(model, service, found);
        if (found.ExternalName is not null && !IsSteered(model, node, found, port ?? HttpPort))
        {
            // Who asks may mean https://, which names the same listener: the app's own TLS to an external host must not become plaintext.
            return None($"Service '{service}' is the external host {found.ExternalName}: calls go there untouched. For the mesh to carry them in plaintext give its port an appProtocol such as http, or attach a route.");
        }

        if (port is null)
        {
            port = found.FindPort(HttpPort) is not null ? HttpPort : found.Ports.Length == 1 ? found.Ports[0].Port : null;
            if (port is null)
            {
                return None($"'{name}' names no port and Service '{service}' has neither port 80 nor only one. Add one of {Ports(found)}.");
            }
        }
        else if (found.FindPort(port.Value) is null)
        {
            return None($"Service '{service}' has no port {port}. Use one of {Ports(found)}.");
        }

        return Outbound(model, node, name, service, port.Value, instance, isAddress: false);
    }

    private bool IsSteered(MeshModel model, NodeContext node, Service service, int port) =>
        (service.Ports.FirstOrDefault(p => p.Port == port) is { AppProtocol.Length: > 0 } declared && PortContent.Of(declared).Http)
        || !IndexOf(model).RoutesFor(service.Name, port, node.Namespace).IsEmpty;

    /// <summary>A Service that stands for another one of the mesh (ExternalName) is that one: its endpoints are known, and meshed.</summary>
    private (ServiceName Name, Service Service) Followed(MeshModel model, ServiceName name, Service service)
    {
        for (var hops = 0; hops < 4 && service.ExternalName is { } host && _names.TryHost(host, string.Empty, out var target) && target.Namespace.Length > 0
            && host.Contains(".svc", StringComparison.Ordinal) && model.Services.TryGetValue(target, out var next); hops++)
        {
            (name, service) = (target, next);
        }

        return (name, service);
    }

    /// <param name="instance">One endpoint of the Service; null is the Service.</param>
    /// <param name="isAddress">As a sidecar asks, which sees only where a connection goes.</param>
    private TranslatedResource Outbound(MeshModel model, NodeContext node, string name, ServiceName service, int port, string? instance, bool isAddress)
    {
        var index = IndexOf(model);
        HttpFilter[] filters =
        [
            .. index.HasFaults(service, port, node.Namespace) ? (HttpFilter[])[FaultTranslator.Filter()] : [],
            .. node.IsMesh && index.HasSessions(service, port, node.Namespace) ? (HttpFilter[])[SessionTranslator.Filter()] : [],
        ];
        if (!isAddress || !node.IsTransparent)
        {
            return new TranslatedResource(ListenerTranslator.Outbound(name, _names.Listener(service, port, instance), filters), null);
        }

        var found = model.Services[service];
        var opaque = EndpointsOf(found, port, instance).Any(e => IsOpaque(index, service.Namespace, e));
        return new TranslatedResource(_sidecars.Translate(name, model, index, node, service, found.FindPort(port)!, instance, opaque, filters), null);
    }

    /// <param name="prefix">What stands before the address in the name: it tells servers of ours from others.</param>
    private TranslatedResource Inbound(MeshModel model, NodeContext node, string name, string prefix)
    {
        var bound = name[prefix.Length..];
        if (!ResourceNames.TryAddress(bound, out var ip, out var port))
        {
            return None($"'{bound}' is no address with port. Ask for {prefix}<ip>:<port>, IPv6 in brackets.");
        }

        var index = IndexOf(model);
        string[] addresses = [.. InboundPlace.Addresses(node, ip).Select(a => ModelIndex.HostPort(a, port))];
        // A workload of ours is protected at every port it has, also at one that no Service stands before (admin ports); it becomes no endpoint by that.
        if (!addresses.Any(index.IsEndpoint) && !(node.IsMesh && node.Identity?.Namespace is not null))
        {
            return None(InboundPlace.IsAny(ip)
                ? $"No Service has an endpoint at port {port} of {(node.InstanceIps.IsDefaultOrEmpty ? "the node, which told no address (INSTANCE_IPS)" : string.Join(", ", node.InstanceIps))}. Add it to an EndpointSlice."
                : $"No Service has an endpoint at {bound}. Add it to an EndpointSlice.");
        }

        // As it was asked: a gRPC server compares the text with what it has bound (gRFC A36).
        var address = bound[..bound.LastIndexOf(':')].Trim('[', ']');
        var place = InboundPlace.Find(index.Authorization, node, ip, port);
        if (prefix == XdsTypes.GrpcServerPrefix && place.Mtls == MtlsMode.Strict && !node.HasDefaultTls)
        {
            return None($"{bound} takes mesh TLS only, and {node.Id} has no certificates. Print its bootstrap with --certs, or let plaintext in with a ServerPolicy.");
        }

        return new TranslatedResource(
            prefix == XdsTypes.GrpcServerPrefix
                ? ListenerTranslator.GrpcServer(name, address, port, node.HasDefaultTls, ListenerTranslator.InboundHttp(_authorization.Filters(place, index.Policies, RuleAudience.Of(node)), []))
                : ListenerTranslator.Inbound(name, address, port, Chains(index, place, addresses)),
            null);
    }

    private InboundChains Chains(ModelIndex index, EffectiveAuthorization place, IReadOnlyList<string> hostPorts)
    {
        if (place.Protocol == ServerProtocol.Opaque)
        {
            var bytes = _authorization.NetworkFilters(place);
            return new InboundChains(bytes, place.Mtls == MtlsMode.Strict ? null : bytes);
        }

        // Who may not call must not use up anyone's limits.
        HttpFilter[] limits = InboundLimitsTranslator.Filter([.. hostPorts.SelectMany(index.BehindWhich)]) is { } limit ? [limit] : [];
        var routes = _authorization.Routes(place, index.Policies, RuleAudience.OfMesh).ToArray();
        Filter[] http = [ListenerTranslator.InboundHttp([.. _authorization.Filters(place, index.Policies, RuleAudience.OfMesh), .. limits], routes)];
        return place.Mtls != MtlsMode.Strict ? new InboundChains(http, http)
            : new InboundChains(http, _authorization.OnlyProbes(place) is { } probes ? [ListenerTranslator.InboundHttp([probes, .. limits], [])] : null) { PlaintextName = "probes" };
    }

    private TranslatedResource Routes(MeshModel model, NodeContext node, string name)
    {
        if (!_names.TryRoutes(name, out var service, out var port, out var instance))
        {
            return None($"'{name}' is no name of routes. They are named as the canonical listener: {_names.Listener(new ServiceName("<namespace>", "<service>"), 80)}.");
        }

        return Missing(model, service, port) is { } reason
            ? None(reason)
            : new TranslatedResource(_routes.Translate(name, model, node, service, port, instance is null ? IndexOf(model).RoutesFor(service, port, node.Namespace) : [], IndexOf(model).Policies, instance), null);
    }

    private TranslatedResource Cluster(MeshModel model, NodeContext node, string name)
    {
        if (ResourceNames.IsInvalidCluster(name))
        {
            return new TranslatedResource(_clusters.Translate(name, string.Empty, node, [], EffectiveSettings.None), null);
        }

        if (!_names.TryCluster(name, out var service, out var port, out var instance))
        {
            return None($"'{name}' is no name of a cluster. They are named {_names.Cluster(new ServiceName("<namespace>", "<service>"), 80)}.");
        }

        return Missing(model, service, port) is { } reason
            ? None(reason)
            : new TranslatedResource(_clusters.Translate(name, service.Namespace, node, EndpointsOf(model.Services[service], port, instance), IndexOf(model).Policies.ForPort(service, port)), null);
    }

    /// <summary>A name we do not know has no endpoints: nobody waits for them (contracts §2).</summary>
    private TranslatedResource Endpoints(MeshModel model, NodeContext node, string name)
    {
        var known = _names.TryCluster(name, out var service, out var port, out var instance) && Missing(model, service, port) is null;
        var found = known ? model.Services[service] : null;
        var declared = found?.FindPort(port);
        var opaque = declared is not null && PortContent.Of(declared).IsOpaque;
        var endpoints = found is null ? [] : EndpointsOf(found, port, instance);
        if (instance is null && found is { OnlyOwnNode: true } && node.Place.Node.Length > 0)
        {
            endpoints = Array.FindAll(endpoints, e => e.NodeName == node.Place.Node);
        }

        return new TranslatedResource(_endpoints.Translate(
            name, service.Namespace, endpoints, declared?.AppProtocol, e => opaque || IsOpaque(IndexOf(model), service.Namespace, e), found is null ? null : Distances.Of(found.Distribution, node.Place)), null);
    }

    private static bool IsOpaque(ModelIndex index, string ns, ServiceEndpoint endpoint) =>
        index.Authorization.HasOpaque && index.Authorization.At(ns, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port).Protocol == ServerProtocol.Opaque;

    private static ServiceEndpoint[] EndpointsOf(Service service, int port, string? instance) => [.. service.EndpointsOf(service.FindPort(port)!, instance)];

    private static string? Missing(MeshModel model, ServiceName service, int port) =>
        !model.Services.TryGetValue(service, out var found) ? $"There is no Service '{service}'."
        : found.FindPort(port) is not null ? null
        : $"Service '{service}' has no port {port}. Use one of {Ports(found)}.";

    private static string Ports(Service service) => string.Join(", ", service.Ports.Select(p => p.Port));

    private static TranslatedResource None(string reason) => new(null, reason);
}
