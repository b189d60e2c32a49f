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
        XdsTypes.ClusterLoadAssignment => Endpoints(model, name),
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

        ServiceName service = default;
        var named = typeUrl switch
        {
            XdsTypes.Listener => ResourceNames.TrySplit(name, out var host, out _) && _names.TryHost(host, node.Namespace, out service),
            XdsTypes.RouteConfiguration => _names.TryRoutes(name, out service, out _),
            _ => _names.TryCluster(name, out service, out _),
        };
        return named ? new AnswerBasis { Service = service } : new AnswerBasis();
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
            return IndexOf(model).TryListener(ModelIndex.HostPort(ip.ToString(), ipPort), out var owner, out var ownerPort)
                ? Outbound(model, node, name, owner, ownerPort, isAddress: true)
                : None($"No Service has the address {name}. Add it to a Service's EndpointSlice, or call the Service by name.");
        }

        if (!ResourceNames.TrySplit(name, out var host, out var port) || !_names.TryHost(host, node.Namespace, out var service))
        {
            return None($"'{name}' is no name of a Service. Use <service>, <service>.<namespace>, <service>.<namespace>.svc or the full name, with or without a port.");
        }

        if (!model.Services.TryGetValue(service, out var found))
        {
            return None($"There is no Service '{service}' ('{name}' asked by {node.Id} in namespace '{node.Namespace}').");
        }

        if (port is null)
        {
            port = found.Ports.Any(p => p.Port == 80) ? 80 : found.Ports.Length == 1 ? found.Ports[0].Port : null;
            if (port is null)
            {
                return None($"'{name}' names no port and Service '{service}' has neither port 80 nor only one. Add one of {Ports(found)}.");
            }
        }
        else if (!found.Ports.Any(p => p.Port == port))
        {
            return None($"Service '{service}' has no port {port}. Use one of {Ports(found)}.");
        }

        return Outbound(model, node, name, service, port.Value, isAddress: false);
    }

    /// <param name="isAddress">As a sidecar asks, which sees only where a connection goes.</param>
    private TranslatedResource Outbound(MeshModel model, NodeContext node, string name, ServiceName service, int port, bool isAddress)
    {
        var index = IndexOf(model);
        HttpFilter[] filters =
        [
            .. index.HasFaults(service, port, node.Namespace) ? (HttpFilter[])[FaultTranslator.Filter()] : [],
            .. node.IsMesh && index.HasSessions(service, port, node.Namespace) ? (HttpFilter[])[SessionTranslator.Filter()] : [],
        ];
        if (!isAddress || !node.IsTransparent)
        {
            return new TranslatedResource(ListenerTranslator.Outbound(name, _names.Listener(service, port), filters), null);
        }

        var found = model.Services[service];
        var opaque = EndpointsOf(found, port).Any(e => IsOpaque(index, service.Namespace, e));
        return new TranslatedResource(_sidecars.Translate(name, model, index, node, service, found.Ports.First(p => p.Port == port), opaque, filters), null);
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
        if (!_names.TryRoutes(name, out var service, out var port))
        {
            return None($"'{name}' is no name of routes. They are named as the canonical listener: {_names.Listener(new ServiceName("<namespace>", "<service>"), 80)}.");
        }

        return Missing(model, service, port) is { } reason
            ? None(reason)
            : new TranslatedResource(_routes.Translate(name, model, node, service, port, IndexOf(model).RoutesFor(service, port, node.Namespace), IndexOf(model).Policies), null);
    }

    private TranslatedResource Cluster(MeshModel model, NodeContext node, string name)
    {
        if (ResourceNames.IsInvalidCluster(name))
        {
            return new TranslatedResource(_clusters.Translate(name, string.Empty, node, [], EffectiveSettings.None), null);
        }

        if (!_names.TryCluster(name, out var service, out var port))
        {
            return None($"'{name}' is no name of a cluster. They are named {_names.Cluster(new ServiceName("<namespace>", "<service>"), 80)}.");
        }

        return Missing(model, service, port) is { } reason
            ? None(reason)
            : new TranslatedResource(_clusters.Translate(name, service.Namespace, node, EndpointsOf(model.Services[service], port), IndexOf(model).Policies.ForPort(service, port)), null);
    }

    /// <summary>A name we do not know has no endpoints: nobody waits for them (contracts §2).</summary>
    private TranslatedResource Endpoints(MeshModel model, string name)
    {
        var known = _names.TryCluster(name, out var service, out var port) && Missing(model, service, port) is null;
        var declared = known ? model.Services[service].Ports.First(p => p.Port == port) : null;
        var opaque = declared is not null && PortContent.Of(declared).IsOpaque;
        return new TranslatedResource(_endpoints.Translate(
            name, service.Namespace, known ? EndpointsOf(model.Services[service], port) : [], declared?.AppProtocol, e => opaque || IsOpaque(IndexOf(model), service.Namespace, e)), null);
    }

    private static bool IsOpaque(ModelIndex index, string ns, ServiceEndpoint endpoint) =>
        index.Authorization.HasOpaque && index.Authorization.At(ns, endpoint.ServiceAccount, [endpoint.Address], endpoint.Port).Protocol == ServerProtocol.Opaque;

    private static ServiceEndpoint[] EndpointsOf(Service service, int port)
    {
        var name = service.Ports.First(p => p.Port == port).Name;
        return [.. service.Endpoints.Where(e => e.PortName == name)];
    }

    private static string? Missing(MeshModel model, ServiceName service, int port) =>
        !model.Services.TryGetValue(service, out var found) ? $"There is no Service '{service}'."
        : found.Ports.Any(p => p.Port == port) ? null
        : $"Service '{service}' has no port {port}. Use one of {Ports(found)}.";

    private static string Ports(Service service) => string.Join(", ", service.Ports.Select(p => p.Port));

    private static TranslatedResource None(string reason) => new(null, reason);
}
