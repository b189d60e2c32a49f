using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Envoy.Listener;
using Mesh.Protos.Envoy.NetworkFilters;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes what a sidecar asks for about an address: HTTP by its routes, TLS by server name, all other bytes to the Service.</summary>
/// <remarks>
/// The form that Envoy takes. Where nothing is to be read out of the bytes there is the default chain alone, so a sidecar passes them on without looking.
/// A TCPRoute without an HTTPRoute or GRPCRoute beside it takes every connection: else its backends would see only what is no HTTP (Linkerd: gRPC, HTTP, TLS, TCP).
/// </remarks>
internal sealed class SidecarTranslator(ResourceNames names)
{
    private const string TcpFilter = "envoy.filters.network.tcp_proxy";
    private static readonly string[] HttpProtocols = ["http/1.0", "http/1.1", "h2c"];

    /// <param name="name">As asked.</param>
    /// <param name="instance">One endpoint of the Service, which no route leads away from; null is the Service.</param>
    /// <param name="opaque">A ServerPolicy says that the servers read bytes.</param>
    /// <param name="filters">What the routes need before the router, in order.</param>
    public Listener Translate(string name, MeshModel model, ModelIndex index, NodeContext node, ServiceName service, ServicePort port, string? instance, bool opaque, HttpFilter[] filters)
    {
        var listener = new Listener { Name = name, TrafficDirection = TrafficDirection.Outbound };
        var content = opaque ? PortContent.Opaque : PortContent.Of(port);
        var canonical = names.Listener(service, port.Port, instance);
        var tcp = instance is null ? index.ConnectionRoutesFor(service, port.Port, node.Namespace, tls: false) : [];
        if (content.Http && (tcp.Count == 0 || !index.RoutesFor(service, port.Port, node.Namespace).IsEmpty))
        {
            listener.FilterChains.Add(new FilterChain
            {
                Name = "http",
                FilterChainMatch = new FilterChainMatch { ApplicationProtocols = { HttpProtocols } },
                Filters = { new Filter { Name = ListenerTranslator.HcmFilter, TypedConfig = ListenerTranslator.OutboundHttp(canonical, filters) } },
            });
        }

        if (content.Tls && instance is null)
        {
            AddTls(listener, model, index.ConnectionRoutesFor(service, port.Port, node.Namespace, tls: true), service, port.Port, canonical);
        }

        listener.DefaultFilterChain = new FilterChain
        {
            Name = "tcp",
            Filters = { tcp.Count == 0 ? Tcp(new TcpProxy { StatPrefix = canonical, Cluster = names.Cluster(service, port.Port, instance) }) : Tcp(Forward(model, tcp[0], service, port.Port, canonical)) },
        };
        return listener;
    }

    private void AddTls(Listener listener, MeshModel model, IReadOnlyList<ConnectionRoute> routes, ServiceName service, int port, string canonical)
    {
        var taken = new HashSet<string>(StringComparer.Ordinal);
        foreach (var route in routes)
        {
            // Oldest first: what an older route takes, a newer one does not.
            var hostnames = route.Hostnames.Where(taken.Add).ToArray();
            if (hostnames.Length > 0)
            {
                listener.FilterChains.Add(new FilterChain
                {
                    Name = $"tls {route.Namespace}/{route.Name}",
                    FilterChainMatch = new FilterChainMatch { TransportProtocol = "tls", ServerNames = { hostnames } },
                    Filters = { Tcp(Forward(model, route, service, port, canonical)) },
                });
            }
        }
    }

    /// <summary>A backend that is none keeps its share, which goes to a cluster without endpoints: those connections are closed (Gateway API).</summary>
    private TcpProxy Forward(MeshModel model, ConnectionRoute route, ServiceName parent, int parentPort, string canonical)
    {
        var clusters = route.Backends.Where(b => b.Weight > 0)
            .GroupBy(b => b.IsValid(model) ? names.Cluster(b.Service, b.Port) : names.InvalidCluster(b.Service, b.Port))
            .Select(g => (Name: g.Key, Weight: (uint)g.Sum(b => b.Weight)))
            .ToArray();
        var proxy = new TcpProxy { StatPrefix = canonical };
        if (clusters.Length <= 1)
        {
            proxy.Cluster = clusters.Length == 1 ? clusters[0].Name : names.InvalidCluster(parent, parentPort);
        }
        else
        {
            proxy.WeightedClusters = new TcpProxy.Types.WeightedCluster();
            proxy.WeightedClusters.Clusters.AddRange(clusters.Select(c => new TcpProxy.Types.WeightedCluster.Types.ClusterWeight { Name = c.Name, Weight = c.Weight }));
        }

        return proxy;
    }

    private static Filter Tcp(TcpProxy proxy) => new() { Name = TcpFilter, TypedConfig = Any.Pack(proxy) };
}
