using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.NetworkFilters;
using Mesh.Protos.Envoy.Tls;
using Xunit;
using static Mesh.Xds.DecodeAssert;
using Wire = Mesh.Protos.Envoy.Listener;

namespace Mesh.Xds;

public sealed class OutboundChainsDecoderTests
{
    private const string Name = "10.0.0.1:443";

    internal static Wire.Listener Sidecar(string name)
    {
        var listener = new Wire.Listener { Name = name, TrafficDirection = TrafficDirection.Outbound, DefaultFilterChain = new Wire.FilterChain { Filters = { Tcp("plain") } } };
        var http = new Wire.FilterChain
        {
            FilterChainMatch = new Wire.FilterChainMatch { ApplicationProtocols = { "http/1.0", "http/1.1", "h2c" } },
            Filters = { new Wire.Filter { Name = "http", TypedConfig = Any.Pack(XdsResources.Manager("r")) } },
        };
        listener.FilterChains.Add([http, Tls("db", "Db.Example.com", "*.example.com")]);
        return listener;
    }

    [Fact]
    public void Sidecar_HttpTlsAndDefault_AreRead()
    {
        var given = Sidecar(Name);
        given.FilterChains[1].Filters[0].TypedConfig = Any.Pack(new TcpProxy
        {
            StatPrefix = "db",
            WeightedClusters = new TcpProxy.Types.WeightedCluster { Clusters = { Weight("a", 3), Weight("b", 1) } },
        });
        var listener = Valid<Listener>(given);

        Assert.Equal("r", listener.Api!.RouteConfigurationName);
        Assert.True(listener.IsOutbound);
        Assert.Empty(listener.FilterChains);
        Assert.Equal(2, listener.Tcp.Count);
        Assert.Equal(("db", "db.example.com *.example.com", "a 3, b 1"), Text(listener.Tcp[0]));
        Assert.Equal(("plain.test", "", "plain 1"), Text(listener.Tcp[1]));
    }

    [Fact]
    public void Sidecar_OnlyADefault_IsOpaque()
    {
        var given = Sidecar(Name);
        given.FilterChains.Clear();
        var listener = Valid<Listener>(given);

        Assert.Null(listener.Api);
        Assert.True(listener.IsOutbound);
        Assert.Equal(("plain.test", "", "plain 1"), Text(Assert.Single(listener.Tcp)));
    }

    [Fact]
    public void Sidecar_OnlyHttp_RefusesOtherBytes()
    {
        var given = Sidecar(Name);
        given.FilterChains.RemoveAt(1);
        given.DefaultFilterChain = null;

        Assert.Empty(Valid<Listener>(given).Tcp);
    }

    [Fact]
    public void Sidecar_LargeWeights_KeepTheirShares()
    {
        var given = Sidecar(Name);
        given.DefaultFilterChain.Filters[0].TypedConfig = Any.Pack(new TcpProxy
        {
            WeightedClusters = new TcpProxy.Types.WeightedCluster { Clusters = { Weight("a", 3_000_000_000), Weight("b", 1_000_000_000) } },
        });

        Assert.Equal([750_000_000, 250_000_000], Valid<Listener>(given).Tcp[1].Clusters.Select(c => c.Weight));
    }

    [Fact]
    public void Inbound_SameChains_StayInbound()
    {
        var listener = Valid<Listener>(ListenerDecoderTests.Inbound("in"));

        Assert.False(listener.IsOutbound);
        Assert.Empty(listener.Tcp);
    }

    [Fact]
    public void OutboundDirection_WithApiListener_IsReadAsOne()
    {
        var given = XdsResources.Listener(Name, "r");
        given.TrafficDirection = TrafficDirection.Outbound;

        Assert.Equal("r", Valid<Listener>(given).Api!.RouteConfigurationName);
        given.DefaultFilterChain = Sidecar(Name).DefaultFilterChain;
        Invalid(given, "api_listener");
    }

    private static readonly (string Path, Action<Wire.Listener> Change)[] Wrong =
    [
        ("use_original_dst", l => l.UseOriginalDst = true),
        ("name", l => l.Name = ""),
        ("filter_chains[0].transport_socket", l => l.FilterChains[0].TransportSocket = new TransportSocket { TypedConfig = Any.Pack(new DownstreamTlsContext()) }),
        ("default_filter_chain.transport_socket", l => l.DefaultFilterChain.TransportSocket = new TransportSocket()),
        ("filter_chains[1].filter_chain_match", l => l.FilterChains[1].FilterChainMatch.SourcePorts.Add(7)),
        ("filter_chains[1].filter_chain_match.destination_port", l => l.FilterChains[1].FilterChainMatch.DestinationPort = 7),
        ("filter_chains[0].filter_chain_match.application_protocols", l => l.FilterChains[0].FilterChainMatch.ApplicationProtocols.RemoveAt(0)),
        ("filter_chains[0].filter_chain_match.application_protocols", l => l.FilterChains[0].FilterChainMatch.ApplicationProtocols.Add("mysql")),
        ("filter_chains[2].filter_chain_match.application_protocols", l => l.FilterChains.Add(l.FilterChains[0].Clone())),
        ("filter_chains[0].filter_chain_match.transport_protocol", l => l.FilterChains[0].FilterChainMatch.TransportProtocol = "tls"),
        ("filter_chains[0].filter_chain_match.transport_protocol", l => l.FilterChains[0].FilterChainMatch.TransportProtocol = "quic"),
        ("filter_chains[0].filter_chain_match.server_names", l => l.FilterChains[0].FilterChainMatch.ServerNames.Add("a.test")),
        ("filter_chains[0].filters", l => l.FilterChains[0].Filters.Clear()),
        ("filter_chains[0].filters", l => l.FilterChains[0].Filters.Add(l.FilterChains[0].Filters[0].Clone())),
        ("filter_chains[0].filters[0].typed_config", l => l.FilterChains[0].Filters[0].TypedConfig = Any.Pack(new TcpProxy { Cluster = "c" })),
        ("filter_chains[0].filters[0].typed_config", l => l.FilterChains[0].Filters[0].TypedConfig = null),
        ("filter_chains[0].filters[0].typed_config.rds.route_config_name", l => l.FilterChains[0].Filters[0].TypedConfig = Any.Pack(XdsResources.Manager(""))),
        ("filter_chains[1].filter_chain_match", l => l.FilterChains[1].FilterChainMatch = null),
        ("filter_chains[1].filter_chain_match", l => l.FilterChains[1].FilterChainMatch.ServerNames.Clear()),
        ("filter_chains[1].filter_chain_match.transport_protocol", l => l.FilterChains[1].FilterChainMatch.TransportProtocol = ""),
        ("filter_chains[1].filter_chain_match.server_names[0]", l => l.FilterChains[1].FilterChainMatch.ServerNames[0] = "*"),
        ("filter_chains[1].filter_chain_match.server_names[0]", l => l.FilterChains[1].FilterChainMatch.ServerNames[0] = "*.*.test"),
        ("filter_chains[1].filter_chain_match.server_names[0]", l => l.FilterChains[1].FilterChainMatch.ServerNames[0] = "a.test."),
        ("filter_chains[1].filter_chain_match.server_names[0]", l => l.FilterChains[1].FilterChainMatch.ServerNames[0] = "a b"),
        ("filter_chains[1].filter_chain_match.server_names[1]", l => l.FilterChains[1].FilterChainMatch.ServerNames[1] = "DB.example.COM"),
        ("filter_chains[2].filter_chain_match.server_names[0]", l => l.FilterChains.Add(Tls("other", "*.Example.com"))),
        ("filter_chains[1].filters", l => l.FilterChains[1].Filters.Clear()),
        ("filter_chains[1].filters[0].typed_config", l => l.FilterChains[1].Filters[0].TypedConfig = Any.Pack(new Router())),
        ("filter_chains[1].filters[0].typed_config", l => l.FilterChains[1].Filters[0].TypedConfig = new Any { TypeUrl = "type.googleapis.com/" + TcpProxy.Descriptor.FullName, Value = ByteString.CopyFrom(0xff) }),
        ("default_filter_chain.filters[0].typed_config", l => l.DefaultFilterChain.Filters[0].TypedConfig = Any.Pack(new TcpProxy())),
        ("default_filter_chain.filters[0].typed_config", l => l.DefaultFilterChain.Filters[0].TypedConfig = Any.Pack(new TcpProxy { Cluster = "" })),
        ("default_filter_chain.filters[0].typed_config.weighted_clusters.clusters", l => l.DefaultFilterChain.Filters[0].TypedConfig = Weighted()),
        ("default_filter_chain.filters[0].typed_config.weighted_clusters.clusters", l => l.DefaultFilterChain.Filters[0].TypedConfig = Weighted(Weight("a", uint.MaxValue), Weight("b", 1))),
        ("default_filter_chain.filters[0].typed_config.weighted_clusters.clusters[0].name", l => l.DefaultFilterChain.Filters[0].TypedConfig = Weighted(Weight("", 1))),
        ("default_filter_chain.filters[0].typed_config.weighted_clusters.clusters[1].weight", l => l.DefaultFilterChain.Filters[0].TypedConfig = Weighted(Weight("a", 1), Weight("b", 0))),
    ];

    [Fact]
    public void Sidecar_Wrong_IsNamed() => Assert.All(Wrong, wrong =>
    {
        var given = Sidecar(Name);
        wrong.Change(given);

        Invalid(given, wrong.Path);
    });

    private static (string, string, string) Text(TcpChain chain) =>
        (chain.Name, string.Join(' ', chain.ServerNames), string.Join(", ", chain.Clusters.Select(c => $"{c.Name} {c.Weight}")));

    private static Wire.Filter Tcp(string cluster) => new() { Name = "tcp", TypedConfig = Any.Pack(new TcpProxy { StatPrefix = $"{cluster}.test", Cluster = cluster }) };

    private static Wire.FilterChain Tls(string cluster, params string[] names) => new()
    {
        FilterChainMatch = new Wire.FilterChainMatch { TransportProtocol = "tls", ServerNames = { names } },
        Filters = { Tcp(cluster) },
    };

    private static Any Weighted(params TcpProxy.Types.WeightedCluster.Types.ClusterWeight[] clusters) =>
        Any.Pack(new TcpProxy { WeightedClusters = new TcpProxy.Types.WeightedCluster { Clusters = { clusters } } });

    private static TcpProxy.Types.WeightedCluster.Types.ClusterWeight Weight(string name, uint weight) => new() { Name = name, Weight = weight };
}
