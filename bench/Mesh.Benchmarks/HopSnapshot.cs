using System.Collections.Immutable;
using Mesh.Config;
using Mesh.Spiffe;
using Mesh.Traffic;

namespace Mesh.Benchmarks;

/// <summary>The configuration of one service with one meshed endpoint, as our control plane would send it: retry armed, outlier detection on.</summary>
internal static class HopSnapshot
{
    public static MeshSnapshot OneEndpoint(string canonicalName, string askedName, int port, SpiffeId server)
    {
        const string cluster = "outbound|80||bench.bench.svc.cluster.local";
        var retry = new RetryPolicy(RetryOn.ConnectFailure | RetryOn.RefusedStream | RetryOn.Reset | RetryOn.GatewayError, 2, null, TimeSpan.FromMilliseconds(25), TimeSpan.FromMilliseconds(250), []);
        var route = new Route("", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/"), [], null), new RouteAction.Forward([new WeightedCluster(cluster, 1)]) { Retry = retry });
        var routes = new RouteConfiguration(canonicalName, [new VirtualHost("bench", ["*"], [route])]);
        var endpoint = new Endpoint("127.0.0.1", port, 1, Healthy: true) { Tls = EndpointTls.Mesh, SpiffeId = server, SpeaksHttp2 = true };
        return MeshSnapshot.Empty with
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(
                askedName, new ListenerResult.Found(new Listener(askedName) { Api = new HttpConnectionManager(canonicalName, null, null) }, routes)),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(
                cluster,
                new ClusterResult.Found(
                    new Cluster(cluster, cluster, TimeSpan.FromSeconds(5)) { OutlierDetection = new OutlierDetection(5, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(300), 50) },
                    new LoadAssignment(cluster, [new LocalityEndpoints(new Locality("", "", ""), 0, 1, [endpoint])]))),
        };
    }

    /// <summary>The inbound listener of an address, with filters.</summary>
    public static MeshSnapshot Inbound(string address, IReadOnlyList<HttpFilter> filters)
    {
        var name = "meshlib/inbound?address=" + address;
        var http = new HttpConnectionManager(null, null, null) { Filters = filters };
        var listener = new Listener(name)
        {
            FilterChains =
            [
                new FilterChain("mesh-tls", TransportProtocol.Tls, MeshTls: true, RequireClientCertificate: true) { Http = http },
                new FilterChain("plaintext", TransportProtocol.Any, MeshTls: false, RequireClientCertificate: false) { Http = http },
            ],
        };
        return MeshSnapshot.Empty with { Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(name, new ListenerResult.Found(listener, null)) };
    }
}
