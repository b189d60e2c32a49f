using Google.Protobuf.WellKnownTypes;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Listener;
using Mesh.Protos.Envoy.Route;
using Mesh.Protos.Envoy.Tls;
using Route = Mesh.Protos.Envoy.Route.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes listeners.</summary>
internal static class ListenerTranslator
{
    public const string TlsTransportSocket = "envoy.transport_sockets.tls";

    /// <summary>The name of the certificate provider that peers are told to use.</summary>
    public const string ProviderInstance = "default";

    private const string RouterFilter = "envoy.filters.http.router";
    public const string HcmFilter = "envoy.filters.network.http_connection_manager";

    /// <summary>What a client asks for: where the routes of that name are.</summary>
    /// <param name="name">As asked.</param>
    /// <param name="routes">The canonical name.</param>
    /// <param name="filters">What the routes need before the router, in order.</param>
    public static Listener Outbound(string name, string routes, params ReadOnlySpan<HttpFilter> filters) => new()
    {
        Name = name,
        ApiListener = new ApiListener { ApiListener_ = OutboundHttp(routes, filters) },
    };

    /// <summary>Requests of a caller: where their routes are.</summary>
    public static Any OutboundHttp(string routes, params ReadOnlySpan<HttpFilter> filters) => Any.Pack(new HttpConnectionManager
    {
        StatPrefix = routes,
        Rds = new Rds { ConfigSource = Ads(), RouteConfigName = routes },
        HttpFilters = { Filters(filters) },
    });

    /// <summary>What a server of ours asks for: mesh TLS with a client certificate, and beside it plaintext, where that is served.</summary>
    /// <param name="address">As in the name: an IP literal without brackets.</param>
    public static Listener Inbound(string name, string address, int port, InboundChains chains)
    {
        var listener = Inbound(name, address, port);
        listener.FilterChains.Add(new FilterChain
        {
            Name = "mesh-tls",
            FilterChainMatch = new FilterChainMatch { TransportProtocol = "tls" },
            TransportSocket = DownstreamTls(),
            Filters = { chains.Mesh },
        });
        if (chains.Plaintext is { } plaintext)
        {
            listener.DefaultFilterChain = new FilterChain { Name = chains.PlaintextName, Filters = { plaintext } };
        }

        return listener;
    }

    /// <summary>What a gRPC server that is not ours asks for: one chain (gRFC A36), for such a server cannot tell TLS from plaintext by the first bytes.</summary>
    /// <param name="tls">Mesh TLS with a client certificate, and nothing else; false is plaintext.</param>
    /// <param name="http">What becomes of requests (<see cref="InboundHttp"/>).</param>
    public static Listener GrpcServer(string name, string address, int port, bool tls, Filter http)
    {
        // No filter_chain_match: to grpc-js an empty one matches nothing.
        var chain = new FilterChain { Name = tls ? "mesh-tls" : "plaintext", Filters = { http } };
        if (tls)
        {
            chain.TransportSocket = DownstreamTls();
        }

        var listener = Inbound(name, address, port);
        listener.FilterChains.Add(chain);
        return listener;
    }

    public static ConfigSource Ads() => new() { Ads = new AggregatedConfigSource(), ResourceApiVersion = ApiVersion.V3 };

    private static HttpFilter Router() => new() { Name = RouterFilter, TypedConfig = Any.Pack(new Router()) };

    private static IEnumerable<HttpFilter> Filters(params ReadOnlySpan<HttpFilter> before) => [.. before, Router()];

    private static Listener Inbound(string name, string address, int port) => new()
    {
        Name = name,
        Address = new Address { SocketAddress = new SocketAddress { Address = address, PortValue = (uint)port } },
        TrafficDirection = TrafficDirection.Inbound,
    };

    /// <summary>Requests of an inbound chain.</summary>
    /// <param name="filters">Before the router, in order.</param>
    /// <param name="routes">Asked before the one that takes everything.</param>
    public static Filter InboundHttp(ReadOnlySpan<HttpFilter> filters, IEnumerable<Route> routes)
    {
        var host = new VirtualHost { Name = "inbound", Domains = { "*" } };
        host.Routes.AddRange(routes);
        host.Routes.Add(new Route { Name = "default", Match = new RouteMatch { Prefix = "/" }, NonForwardingAction = new NonForwardingAction() });
        return new Filter
        {
            Name = HcmFilter,
            TypedConfig = Any.Pack(new HttpConnectionManager
            {
                StatPrefix = "inbound",
                RouteConfig = new RouteConfiguration { Name = "inbound", VirtualHosts = { host } },
                HttpFilters = { Filters(filters) },
            }),
        };
    }

    private static TransportSocket DownstreamTls() => new()
    {
        Name = TlsTransportSocket,
        TypedConfig = Any.Pack(new DownstreamTlsContext
        {
            RequireClientCertificate = true,
            CommonTlsContext = new CommonTlsContext
            {
                TlsCertificateProviderInstance = new CertificateProviderPluginInstance { InstanceName = ProviderInstance },
                ValidationContext = new CertificateValidationContext
                {
                    CaCertificateProviderInstance = new CertificateProviderPluginInstance { InstanceName = ProviderInstance },
                },
            },
        }),
    };
}

/// <summary>The filters of an inbound listener's chains.</summary>
/// <param name="Mesh">Where mesh TLS ends.</param>
/// <param name="Plaintext">All other bytes; null refuses them.</param>
internal sealed record InboundChains(IReadOnlyList<Filter> Mesh, IReadOnlyList<Filter>? Plaintext)
{
    public string PlaintextName { get; init; } = "plaintext";
}
