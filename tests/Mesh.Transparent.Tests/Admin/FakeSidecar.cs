using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using System.Net;
using Mesh.Config;
using Mesh.Export;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Inbound;
using Mesh.Outbound;
using Mesh.Resilience;
using Mesh.Spiffe;
using Mesh.Server.Logging;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Mesh.Transparent.Admin;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace Mesh.Transparent.Tests.Admin;

/// <summary>The real core behind a real admin port on loopback, without a data plane.</summary>
internal sealed class FakeSidecar : ISidecarState, IAsyncDisposable
{
    public const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
    private readonly TestCa _ca = new("cluster.local");
    private readonly InMemoryConfigSource _config = new();
    private readonly OutboundTableStore _outbound;
    private readonly InboundTable _inbound;
    private readonly AccessLog _accessLog = new(MeshAccessLog.Off, TimeProvider.System);
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly CounterTotals _counters;
    private readonly HttpClient _client = new(new SocketsHttpHandler { UseProxy = false, AutomaticDecompression = DecompressionMethods.None });

    private FakeSidecar(IPAddress listen)
    {
        Identity = _ca.Identity("shop", "storefront");
        var identity = new FixedIdentitySource(Identity);
        var (time, none) = (TimeProvider.System, NullLoggerFactory.Instance);
        _outbound = new OutboundTableStore(
            _config, new ClusterRegistry(identity, time, none), new OutboundSettings("storefront", "shop", "cluster.local"), Aggregate, time, new Random(1), none);
        _inbound = new InboundTable(_config, "meshlib/inbound?address=", new ServerLimits(null, null, null), time, NullLogger<InboundTable>.Instance);
        _inbound.Open(new IPEndPoint(IPAddress.Parse("10.9.9.9"), 8080));
        _config.Set(Snapshot());
        var options = new SidecarOptions { AdminListen = [new IPEndPoint(listen, 0)] };
        var mesh = new MeshOptions { ControlPlane = "127.0.0.1:15012", Token = Secret, TokenFile = "/run/token", Namespace = "shop" };
        var node = new LocalNode("storefront~web-1~shop", "shop", "storefront", "storefront", ["10.9.9.9"]);
        var meters = _services.GetRequiredService<IMeterFactory>();
        _counters = new CounterTotals(meters: meters);
        MeshInstruments.Register(meters.Create(new MeterOptions(CounterTotals.MeterName)), identity);
        BalancerGauges.Register(meters, _outbound, time);
        var metrics = new AdminMetrics(new MetricsText(Aggregate, _counters, node.Workload, node.Namespace, node.Id), this, _accessLog, node, time);
        Server = new AdminServer(options, this, metrics, new ConfigDump(options, mesh, node, _config, _outbound, _inbound, identity, time), Levels, none);
    }

    public static string Secret => "s3cret-join-token";

    public WorkloadIdentity Identity { get; }

    public MetricAggregate Aggregate { get; } = new();

    public LogLevels Levels { get; } = new(LogFilters.Default);

    public AdminServer Server { get; }

    public List<string> Missing { get; } = [];

    public int Drains { get; private set; }

    public IReadOnlyList<string> NotReadyBecause() => Missing;

    public void BeginDrain() => Drains++;

    public static async Task<FakeSidecar> StartAsync(IPAddress? listen = null)
    {
        var sidecar = new FakeSidecar(listen ?? IPAddress.Loopback);
        await sidecar.Server.StartAsync(TestContext.Current.CancellationToken);
        return sidecar;
    }

    public async Task<(HttpResponseMessage Answer, byte[] Body)> SendAsync(
        HttpMethod method, string path, Action<HttpRequestMessage>? change = null, IPAddress? to = null)
    {
        using var request = new HttpRequestMessage(method, new UriBuilder("http", (to ?? IPAddress.Loopback).ToString(), Server.EndPoints[0].Port, path).Uri);
        change?.Invoke(request);
        var answer = await _client.SendAsync(request, TestContext.Current.CancellationToken);
        return (answer, await answer.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken));
    }

    public async Task<(HttpStatusCode Status, string Text)> TextAsync(HttpMethod method, string path, Action<HttpRequestMessage>? change = null)
    {
        var (answer, body) = await SendAsync(method, path, change);
        using (answer)
        {
            return (answer.StatusCode, System.Text.Encoding.UTF8.GetString(body));
        }
    }

    public async ValueTask DisposeAsync()
    {
        _client.Dispose();
        await Server.DisposeAsync();
        _inbound.Dispose();
        await _outbound.DisposeAsync();
        await _accessLog.DisposeAsync();
        Levels.Dispose();
        _counters.Dispose();
        await _services.DisposeAsync();
        _ca.Dispose();
    }

    private static MeshSnapshot Snapshot()
    {
        var forward = new RouteAction.Forward([new WeightedCluster(Cluster, 3)]) { Timeout = TimeSpan.FromSeconds(5) };
        var route = new Route("all", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/"), [], null), forward)
        {
            RequestHeaders = new HeaderChanges([new HeaderChange("authorization", Secret, HeaderChangeKind.Set)]),
        };
        var routes = new RouteConfiguration("catalog.shop.svc.cluster.local:80", [new VirtualHost("catalog", ["*"], [route])]);
        var id = SpiffeId.ForServiceAccount(TrustDomain.Parse("cluster.local"), "shop", "catalog");
        var locality = new LocalityEndpoints(new Locality("r", "z", string.Empty), 0, 1,
        [
            new Endpoint("10.0.0.1", 80, 1, Healthy: true) { Tls = EndpointTls.Mesh, SpiffeId = id },
            new Endpoint("10.0.0.2", 80, 1, Healthy: false),
        ]);
        const string Inbound = "meshlib/inbound?address=10.9.9.9:8080";
        return MeshSnapshot.Empty with
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty
                .Add("catalog.shop:80", new ListenerResult.Found(new Listener("catalog.shop:80") { Api = new HttpConnectionManager(routes.Name, null, null) }, routes))
                .Add("nobody:80", new ListenerResult.DoesNotExist("no such service"))
                .Add(Inbound, new ListenerResult.Found(new Listener(Inbound) { FilterChains = [new FilterChain("mesh-tls", TransportProtocol.Tls, true, true)] }, null)),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty
                .Add(Cluster, new ClusterResult.Found(new Cluster(Cluster, Cluster, TimeSpan.FromSeconds(5)), new LoadAssignment(Cluster, [locality]))),
        };
    }
}
