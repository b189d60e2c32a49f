using Google.Protobuf;
using Mesh.Protos.Envoy.Cluster;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Endpoint;
using Mesh.Protos.Envoy.Filters;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Listener;
using Mesh.Protos.Envoy.Route;

namespace Mesh.Xds;

/// <summary>Valid resources, as small as they come, for tests to spoil.</summary>
internal static class XdsResources
{
    public static Listener Listener(string name, string routes) => new()
    {
        Name = name,
        ApiListener = new ApiListener { ApiListener_ = Google.Protobuf.WellKnownTypes.Any.Pack(Manager(routes)) },
    };

    public static HttpConnectionManager Manager(string routes) => new()
    {
        Rds = new Rds { ConfigSource = Ads, RouteConfigName = routes },
        HttpFilters = { new HttpFilter { Name = "router", TypedConfig = Google.Protobuf.WellKnownTypes.Any.Pack(new Router()) } },
    };

    public static ConfigSource Ads => new() { Ads = new AggregatedConfigSource() };

    public static RouteConfiguration Routes(string name, params string[] clusters)
    {
        var host = new VirtualHost { Name = "any", Domains = { "*" } };
        foreach (var cluster in clusters)
        {
            host.Routes.Add(new Route { Match = new RouteMatch { Prefix = "/" }, Route_ = new RouteAction { Cluster = cluster } });
        }

        return new RouteConfiguration { Name = name, VirtualHosts = { host } };
    }

    public static Cluster Cluster(string name, string? eds = null) => new()
    {
        Name = name,
        Type = Protos.Envoy.Cluster.Cluster.Types.DiscoveryType.Eds,
        EdsClusterConfig = new Cluster.Types.EdsClusterConfig { EdsConfig = Ads, ServiceName = eds ?? string.Empty },
    };

    public static ClusterLoadAssignment Endpoints(string name, params int[] ports)
    {
        var locality = new LocalityLbEndpoints { Locality = new Locality { Region = "here" }, LoadBalancingWeight = 1 };
        foreach (var port in ports)
        {
            locality.LbEndpoints.Add(LbEndpoint("127.0.0.1", port));
        }

        return new ClusterLoadAssignment { ClusterName = name, Endpoints = { locality } };
    }

    public static LbEndpoint LbEndpoint(string address, int port) => new()
    {
        Endpoint = new Protos.Envoy.Endpoint.Endpoint
        {
            Address = new Address { SocketAddress = new SocketAddress { Address = address, PortValue = (uint)port } },
        },
    };

    public static Google.Protobuf.WellKnownTypes.Any Any(IMessage message) => Google.Protobuf.WellKnownTypes.Any.Pack(message);
}
