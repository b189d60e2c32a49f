using System.Collections.Immutable;
using System.Net;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound.Steps;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Outbound;

public sealed class OutboundTableStoreTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly Source _source = new();
    private readonly TestCa _ca = new("cluster.local");
    private readonly OutboundTableStore _tables;
    private readonly OutboundPipeline _pipeline;
    private readonly TelemetryStep _telemetry;
    private readonly HttpMessageInvoker _own = new(new Answer(HttpStatusCode.Accepted));

    public OutboundTableStoreTests()
    {
        var settings = new OutboundSettings("storefront", "shop", "cluster.local");
        var registry = new ClusterRegistry(new FixedIdentitySource(_ca.Identity("shop", "storefront")), _time, NullLoggerFactory.Instance);
        _tables = new OutboundTableStore(_source, registry, settings, new MetricAggregate(), _time, new Random(1), NullLoggerFactory.Instance);
        _telemetry = new TelemetryStep(null, _time);
        _pipeline = new OutboundPipeline(_tables, settings, _telemetry, _time, new Random(1));
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _tables.Dispose();
        _telemetry.Dispose();
        _own.Dispose();
        _ca.Dispose();
    }

    [Fact]
    public async Task Send_NoAnswerFromTheControlPlane_Is503AfterTenSecondsThatSaysSo()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        var send = _pipeline.SendAsync(request, _own, limits: null, Cancel);
        Assert.Equal(["catalog"], _source.Watched);
        Assert.False(send.IsCompleted);
        _time.Advance(TimeSpan.FromSeconds(10));

        using var response = await send;

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("control plane has not answered", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Send_AnswerWhileWaiting_GoesOnAtOnce()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://catalog/");
        var send = _pipeline.SendAsync(request, _own, limits: null, Cancel);
        _source.Snapshots.Publish(Direct("catalog", 418));

        Assert.Equal(418, (int)(await send).StatusCode);
    }

    [Fact]
    public async Task Send_DoesNotExist_PassesThroughWithoutAskingAgain()
    {
        _source.Snapshots.Publish(MeshSnapshot.Empty with { Listeners = MeshSnapshot.Empty.Listeners.Add("example.com", new ListenerResult.DoesNotExist("no such service")) });
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://example.com/");

        Assert.Equal(HttpStatusCode.Accepted, (await _pipeline.SendAsync(request, _own, limits: null, Cancel)).StatusCode);
        Assert.Empty(_source.Watched);
    }

    [Fact]
    public async Task Send_GrpcToARouteThatDoesNotForward_IsUnavailable()
    {
        _source.Snapshots.Publish(With("cart", new RouteAction.NotForwarding("it redirects")));
        using var request = new HttpRequestMessage(HttpMethod.Post, "http://cart/test.Echo/Unary") { Content = new ByteArrayContent([]) };
        request.Content.Headers.TryAddWithoutValidation("Content-Type", "application/grpc");

        using var response = await _pipeline.SendAsync(request, _own, limits: null, Cancel);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("14", response.Headers.GetValues("grpc-status").Single());
        Assert.Contains("it redirects", response.Headers.GetValues("grpc-message").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public void Publish_UnchangedListener_KeepsItsCompiledForm()
    {
        var snapshot = Direct("catalog", 418);
        _source.Snapshots.Publish(snapshot);
        var before = _tables.Current.Find(new("catalog", 0));
        _source.Snapshots.Publish(snapshot with { Listeners = snapshot.Listeners.AddRange(Direct("cart", 200).Listeners) });

        Assert.NotNull(before);
        Assert.Same(before, _tables.Current.Find(new("catalog", 0)));
        Assert.NotNull(_tables.Current.Find(new("cart", 0)));
    }

    [Fact]
    public void Publish_SidecarListener_HasTcpBesideItsRoutes()
    {
        var snapshot = With("10.0.0.1:80", new RouteAction.DirectResponse(418, string.Empty));
        var found = (ListenerResult.Found)snapshot.Listeners["10.0.0.1:80"];
        snapshot = snapshot with { Listeners = snapshot.Listeners.SetItem("10.0.0.1:80", found with { Listener = found.Listener with { Tcp = Chains } }), Clusters = Clusters };
        _source.Snapshots.Publish(snapshot);

        var listener = _tables.Current.Find(new("10.0.0.1", 80))!;
        Assert.NotNull(listener.Tcp);
        Assert.False(listener.IsOpaque);
        Assert.Equal("outbound|443||db.shop.svc.cluster.local", listener.Tcp.Pick("db.test", new Random(1))?.Name);
        Assert.Equal(2, listener.Clusters.Count);
    }

    [Fact]
    public void Publish_ListenerWithoutHttp_IsOpaque_AndAnInboundOneIsNone()
    {
        _source.Snapshots.Publish(MeshSnapshot.Empty with
        {
            Listeners = MeshSnapshot.Empty.Listeners
                .Add("10.0.0.1:3306", new ListenerResult.Found(new Listener("10.0.0.1:3306") { Tcp = Chains }, null))
                .Add("inbound", new ListenerResult.Found(new Listener("inbound") { FilterChains = [new FilterChain("c", TransportProtocol.Any, false, false)] }, null)),
            Clusters = Clusters,
        });

        var listener = _tables.Current.Find(new("10.0.0.1", 3306))!;
        Assert.True(listener.IsOpaque);
        Assert.Null(listener.Host);
        Assert.Null(listener.Unavailable);
        Assert.Equal(("bytes", "shop"), (listener.Destination!.Service, listener.Destination.Namespace));
        Assert.Equal("outbound|3306||bytes.shop.svc.cluster.local", listener.Tcp!.Pick(null, new Random(1))?.Name);
        Assert.Null(_tables.Current.Find(new("inbound", 0)));
    }

    private static IReadOnlyList<TcpChain> Chains =>
    [
        new("bytes.shop.svc.cluster.local:3306", ["db.test"], [new WeightedCluster("outbound|443||db.shop.svc.cluster.local", 1)]),
        new("bytes.shop.svc.cluster.local:3306", [], [new WeightedCluster("outbound|3306||bytes.shop.svc.cluster.local", 1)]),
    ];

    private static ImmutableDictionary<string, ClusterResult> Clusters => Chains.SelectMany(c => c.Clusters)
        .ToImmutableDictionary(c => c.Name, _ => (ClusterResult)new ClusterResult.Unavailable("a test"));

    private static MeshSnapshot Direct(string name, int status) => With(name, new RouteAction.DirectResponse(status, string.Empty));

    private static MeshSnapshot With(string name, RouteAction action) => MeshSnapshot.Empty with
    {
        Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(name, new ListenerResult.Found(
            new Listener(name) { Api = new HttpConnectionManager("r", null, null) },
            new RouteConfiguration("r", [new VirtualHost("h", [name], [new Route("all", new RouteMatch(null, [], null), action)])]))),
    };

    /// <summary>A control plane that answers when the test says so.</summary>
    private sealed class Source : IConfigSource
    {
        public SnapshotStore Snapshots { get; } = new();

        public List<string> Watched { get; } = [];

        public void Watch(string listenerName) => Watched.Add(listenerName);

        public void Unwatch(string listenerName)
        {
        }
    }

    private sealed class Answer(HttpStatusCode status) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(status));
    }
}
