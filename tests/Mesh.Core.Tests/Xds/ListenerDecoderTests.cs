using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Tls;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using HttpFilter = Mesh.Protos.Envoy.Hcm.HttpFilter;
using Wire = Mesh.Protos.Envoy.Listener;

namespace Mesh.Xds;

public sealed class ListenerDecoderTests
{
    internal static Wire.Listener Inbound(string name)
    {
        var filter = new Wire.Filter { Name = "http", TypedConfig = Any.Pack(new Protos.Envoy.Hcm.HttpConnectionManager
        {
            RouteConfig = new Protos.Envoy.Route.RouteConfiguration { Name = "in", VirtualHosts = { new Protos.Envoy.Route.VirtualHost { Domains = { "*" }, Routes = { new Protos.Envoy.Route.Route { Match = new Protos.Envoy.Route.RouteMatch { Prefix = "/" }, NonForwardingAction = new() } } } } },
            HttpFilters = { new HttpFilter { Name = "router", TypedConfig = Any.Pack(new Router()) } },
        }) };
        return new Wire.Listener
        {
            Name = name,
            FilterChains =
            {
                new Wire.FilterChain
                {
                    Name = "mesh-tls",
                    FilterChainMatch = new Wire.FilterChainMatch { TransportProtocol = "tls" },
                    TransportSocket = new TransportSocket { Name = "envoy.transport_sockets.tls", TypedConfig = Any.Pack(new DownstreamTlsContext { RequireClientCertificate = true }) },
                    Filters = { filter },
                },
            },
            DefaultFilterChain = new Wire.FilterChain { Name = "plaintext", Filters = { filter } },
        };
    }

    [Fact]
    public void Inbound_MeshTlsAndPlaintext_AreOrdered()
    {
        var listener = Valid<Listener>(Inbound("in"));
        Assert.Equal(
            [new FilterChain("mesh-tls", TransportProtocol.Tls, true, true), new FilterChain("plaintext", TransportProtocol.Any, false, false)],
            listener.FilterChains.Select(c => c with { Http = null }));
        Assert.All(listener.FilterChains, c => Assert.Equal("in", c.Http?.Inline?.Name));
        Assert.Null(listener.Api);
    }

    [Fact]
    [Trait("gRFC", "A36")]
    public void Inbound_Wrong_EveryErrorIsNamed()
    {
        var given = Inbound("in");
        given.UseOriginalDst = true;
        given.FilterChains.Add(given.FilterChains[0].Clone());
        given.FilterChains[0].Filters.Clear();
        given.FilterChains[1].FilterChainMatch.SourcePorts.Add(7);
        Invalid(given, "use_original_dst", "filter_chains[0].filters", "filter_chains[1].filter_chain_match", "filter_chains[1].filter_chain_match");
    }

    [Fact]
    [Trait("gRFC", "A27")]
    public void Api_Rds_IsRead()
    {
        var manager = XdsResources.Manager("r");
        manager.CommonHttpProtocolOptions = new HttpProtocolOptions { MaxStreamDuration = Duration.FromTimeSpan(TimeSpan.FromSeconds(3)) };
        var api = Valid<Listener>(With(manager)).Api!;
        Assert.Equal(("r", null, TimeSpan.FromSeconds(3)), (api.RouteConfigurationName, api.Inline, api.MaxStreamDuration));
        Assert.Empty(api.Filters);
    }

    [Fact]
    public void Api_InlineRoutes_AreRead()
    {
        var manager = XdsResources.Manager("r");
        manager.RouteConfig = XdsResources.Routes("inline", "c");
        Assert.Equal("inline", Valid<Listener>(With(manager)).Api!.Inline!.Name);
    }

    [Fact]
    public void Api_Wrong_EveryErrorIsNamed()
    {
        var manager = XdsResources.Manager("");
        manager.Rds.ConfigSource = null;
        manager.XffNumTrustedHops = 1;
        manager.OriginalIpDetectionExtensions.Add(new TypedExtensionConfig());
        manager.HttpFilters.Clear();
        Invalid(With(manager), "api_listener.rds.config_source", "api_listener.rds.route_config_name", "api_listener.xff_num_trusted_hops", "api_listener.original_ip_detection_extensions", "api_listener.http_filters");
    }

    [Fact]
    public void Listener_NeitherOrBothForms_IsRefused()
    {
        Invalid(new Wire.Listener { Name = "x" }, "api_listener");
        var both = Inbound("x");
        both.ApiListener = XdsResources.Listener("x", "r").ApiListener;
        Invalid(both, "api_listener");
        Invalid(new Wire.Listener { ApiListener = new Wire.ApiListener { ApiListener_ = Any.Pack(new Router()) } }, "name", "api_listener");
    }

    [Fact]
    [Trait("gRFC", "A39")]
    public void Filters_UnknownType_IsRefusedUnlessOptional()
    {
        var unknown = new HttpFilter { Name = "odd", TypedConfig = new Any { TypeUrl = "type.googleapis.com/odd.Filter" } };
        var manager = XdsResources.Manager("r");
        manager.HttpFilters.Insert(0, unknown);
        Invalid(With(manager), "api_listener.http_filters[0].typed_config");
        unknown.IsOptional = true;
        Valid<Listener>(With(manager));
    }

    [Fact]
    public void Filters_RouterNotLastTwiceOrUnnamed_IsRefused()
    {
        var manager = XdsResources.Manager("r");
        manager.HttpFilters.Add(new HttpFilter { Name = "router", TypedConfig = Any.Pack(new Router()) });
        Invalid(With(manager), "api_listener.http_filters[1].name", "api_listener.http_filters");
        manager = XdsResources.Manager("r");
        manager.HttpFilters.Add(Fault(ByteString.Empty));
        Invalid(With(manager), "api_listener.http_filters");
        manager.HttpFilters[0].Name = "";
        Invalid(With(manager), "api_listener.http_filters[0].name", "api_listener.http_filters");
    }

    [Fact]
    public void Filters_FaultThatInjectsNothing_StandsIdleForRoutesToOverride()
    {
        var manager = XdsResources.Manager("r");
        manager.HttpFilters.Insert(0, Fault(ByteString.Empty));
        Assert.True(Assert.IsType<FaultInjection>(Assert.Single(Valid<Listener>(With(manager)).Api!.Filters).Settings).IsNone);
        manager.HttpFilters[0] = Fault(new HTTPFault
        {
            Abort = new FaultAbort { HttpStatus = 503, Percentage = new Protos.Envoy.Type.FractionalPercent { Numerator = 10 } },
        }.ToByteString());

        var filter = Assert.Single(Valid<Listener>(With(manager)).Api!.Filters);

        var fault = Assert.IsType<FaultInjection>(filter.Settings);
        Assert.Equal((503, 100_000, null), (fault.AbortHttpStatus, fault.AbortPerMillion, fault.Delay));
        manager.HttpFilters[0] = Fault(new HTTPFault { Abort = new FaultAbort { HttpStatus = 99 } }.ToByteString());
        Invalid(With(manager), "api_listener.http_filters[0].typed_config.abort.http_status");
    }

    private static HttpFilter Fault(ByteString value) =>
        new() { Name = "fault", TypedConfig = new Any { TypeUrl = "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault", Value = value } };

    private static Wire.Listener With(Protos.Envoy.Hcm.HttpConnectionManager manager) =>
        new() { Name = "l", ApiListener = new Wire.ApiListener { ApiListener_ = Any.Pack(manager) } };
}
