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
    private const string HcmFilter = "envoy.filters.network.http_connection_manager";

    /// <summary>What a client asks for: where the routes of that name are.</summary>
    /// <param name="name">As asked.</param>
    /// <param name="routes">The canonical name.</param>
    /// <param name="filters">What the routes need before the router, in order.</param>
    public static Listener Outbound(string name, string routes, params ReadOnlySpan<HttpFilter> filters) => new()
    {
        Name = name,
        ApiListener = new ApiListener
        {
            ApiListener_ = Any.Pack(new HttpConnectionManager
            {
                StatPrefix = routes,
                Rds = new Rds { ConfigSource = Ads(), RouteConfigName = routes },
                HttpFilters = { Filters(filters) },
            }),
        },
    };

    /// <summary>What a server of ours asks for: mesh TLS with a client certificate, and beside it plaintext, where that is served.</summary>
    public static Listener Inbound(string name, string address, int port, InboundChains chains)
    {
        var listener = new Listener
        {
            Name = name,
            Address = new Address { SocketAddress = new SocketAddress { Address = address, PortValue = (uint)port } },
            TrafficDirection = TrafficDirection.Inbound,
            FilterChains =
            {
                new FilterChain
                {
                    Name = "mesh-tls",
                    FilterChainMatch = new FilterChainMatch { TransportProtocol = "tls" },
                    TransportSocket = new TransportSocket { Name = TlsTransportSocket, TypedConfig = Any.Pack(DownstreamTls()) },
                },
            },
        };
        listener.FilterChains[0].Filters.AddRange(chains.Mesh);
        if (chains.Plaintext is { } plaintext)
        {
            listener.DefaultFilterChain = new FilterChain { Name = chains.PlaintextName };
            listener.DefaultFilterChain.Filters.AddRange(plaintext);
        }

        return listener;
    }

    public static ConfigSource Ads() => new() { Ads = new AggregatedConfigSource(), ResourceApiVersion = ApiVersion.V3 };

    private static HttpFilter Router() => new() { Name = RouterFilter, TypedConfig = Any.Pack(new Router()) };

    private static IEnumerable<HttpFilter> Filters(params ReadOnlySpan<HttpFilter> before) => [.. before, Router()];

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

    private static DownstreamTlsContext DownstreamTls() => new()
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
    };
}

/// <summary>The filters of an inbound listener's chains.</summary>
/// <param name="Mesh">Where mesh TLS ends.</param>
/// <param name="Plaintext">All other bytes; null refuses them.</param>
internal sealed record InboundChains(IReadOnlyList<Filter> Mesh, IReadOnlyList<Filter>? Plaintext)
{
    public string PlaintextName { get; init; } = "plaintext";
}
