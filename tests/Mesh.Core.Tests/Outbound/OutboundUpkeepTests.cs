using System.Collections.Immutable;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Outbound;

/// <summary>What must not stay behind, or stay as it was, when configuration changes or the program ends.</summary>
public sealed class OutboundUpkeepTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly TestCa _ca = new("cluster.local");

    public void Dispose() => _ca.Dispose();

    [Fact]
    public void Update_OtherUpstreamTls_NewConnectionsGoByIt()
    {
        var transport = new CountingTransport();
        var cluster = NewCluster(transport);
        Update(cluster, new UpstreamTls("a.example", [new StringMatcher(StringMatchKind.Regex, "spiffe://.*")]));
        Acquire(cluster);
        Update(cluster, new UpstreamTls("a.example", [new StringMatcher(StringMatchKind.Regex, "spiffe://.*")]));
        Acquire(cluster);
        Assert.Equal(["a.example"], transport.Snis);

        Update(cluster, new UpstreamTls("b.example", []));
        Acquire(cluster);

        Assert.Equal(["a.example", "b.example"], transport.Snis);
        cluster.Drain();
    }

    [Fact]
    public void Dispose_WhileASnapshotIsBeingTold_BringsNothingBack()
    {
        var source = new Source();
        OutboundTableStore? store = null;
        using var first = source.Snapshots.Subscribe(_ => store?.Dispose());
        var registry = new ClusterRegistry(new FixedIdentitySource(_ca.Identity("shop", "storefront")), _time, NullLoggerFactory.Instance);
        store = new OutboundTableStore(source, registry, new OutboundSettings("storefront", "shop", "cluster.local"), new MetricAggregate(), _time, new Random(1), NullLoggerFactory.Instance);

        source.Snapshots.Publish(MeshSnapshot.Empty with
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("catalog", new ListenerResult.DoesNotExist("none")),
        });

        Assert.Null(store.Current.Find(new("catalog", 0)));
    }

    [Fact]
    public void Look_TwoClientsInTurn_AllocatesNothing()
    {
        var check = new LimitsCheck(NullLogger.Instance);
        var forward = new RouteAction.Forward([new WeightedCluster("c", 1)]) { Timeout = TimeSpan.FromSeconds(1) };
        var route = new OutboundRoute(new Route("all", new RouteMatch(null, [], null), forward)) { Resilience = RouteResilience.Compile(forward, null, _time, new Random(1)) };
        var cluster = NewCluster(new CountingTransport());
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        var listener = new OutboundListener(new ListenerResult.DoesNotExist("none"));
        OutboundCall[] calls = [.. new[] { "one", "two" }.Select(client => new OutboundCall(
            null!, request, listener, 0, new CallLimits(TimeSpan.FromSeconds(9), null, null) { Client = client }, CancellationToken.None) { Route = route, Cluster = cluster })];
        LookInTurn(2);

        var before = GC.GetAllocatedBytesForCurrentThread();
        LookInTurn(100);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        void LookInTurn(int times)
        {
            for (var i = 0; i < times; i++)
            {
                check.Look(calls[0]);
                check.Look(calls[1]);
            }
        }
    }

    private static void Acquire(OutboundCluster cluster) => ((OutboundEndpoint)cluster.Balancer.Endpoints[0]).TryAcquire(http1Only: false)!.Release();

    private static void Update(OutboundCluster cluster, UpstreamTls tls) => cluster.Update(new ClusterResult.Found(
        new Cluster("c", "c", TimeSpan.FromSeconds(5)) { UpstreamTls = tls },
        new LoadAssignment("c", [new LocalityEndpoints(new Locality("", "", ""), 0, 1, [new Endpoint("10.0.0.1", 443, 1, true)])])));

    private OutboundCluster NewCluster(IEndpointTransport transport) => new(
        "c",
        owner => new ClusterBalancer(
            "c", (e, l) => new OutboundEndpoint(owner, e, l, new FixedIdentitySource(_ca.Identity("shop", "storefront")), transport, _time), _time, NullLogger<ClusterBalancer>.Instance),
        _time);

    private sealed class CountingTransport : IEndpointTransport
    {
        public List<string?> Snis { get; } = [];

        public HttpMessageHandler Create(Endpoint endpoint, Cluster cluster, WorkloadIdentity? identity, bool http2, Action connected)
        {
            Snis.Add(cluster.UpstreamTls?.Sni);
            return new SocketsHttpHandler();
        }
    }

    private sealed class Source : IConfigSource
    {
        public SnapshotStore Snapshots { get; } = new();

        public void Watch(string listenerName)
        {
        }

        public void Unwatch(string listenerName)
        {
        }
    }
}
