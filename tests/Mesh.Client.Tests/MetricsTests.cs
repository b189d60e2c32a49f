using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>What calls leave behind: routes, the balancer's state, traces, gRPC's own names; and nothing where nothing is wanted.</summary>
public sealed class MetricsTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private CounterTotals Counters => _program.Services.GetRequiredService<CounterTotals>();

    public ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }

    [Fact]
    public async Task Calls_AreCountedByTheRouteThatTookThem()
    {
        var backend = await AddAsync();
        const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
        var forward = new RouteAction.Forward([new(Cluster, 1)]);
        var routes = new RouteConfiguration("catalog.shop.svc.cluster.local:80", [new VirtualHost("catalog", ["*"],
        [
            new Route("catalog/items", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/items"), [], null), forward),
            new Route("catalog/teapot", new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/tea"), [], null), new RouteAction.DirectResponse(418, "")),
            new Route(string.Empty, new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/any"), [], null), forward),
        ])]);
        var snapshot = MeshedProgram.Snapshot("catalog", forward, (Cluster, [backend.Endpoint]));
        _program.Config.Set(snapshot with
        {
            Listeners = snapshot.Listeners.SetItem("catalog", new ListenerResult.Found(new Listener("catalog") { Api = new HttpConnectionManager(routes.Name, null, null) }, routes)),
        });

        foreach (var path in new[] { "items/1", "items/2", "tea", "any", "none" })
        {
            using var response = await _program.Client().GetAsync(new Uri($"http://catalog/{path}"), Cancel);
        }

        Assert.Equal(
            [(MeshTags.ClientAttemptDuration, "", 1), (MeshTags.ClientAttemptDuration, "catalog/items", 2), (MeshTags.ClientCallDuration, "", 2), (MeshTags.ClientCallDuration, "catalog/items", 2), (MeshTags.ClientCallDuration, "catalog/teapot", 1)],
            _program.Metrics.Series.GroupBy(s => (s.Name, Route: s.Tags.Single(t => t.Key == MeshTags.Route).Value))
                .Select(g => (g.Key.Name, g.Key.Route, (int)g.Sum(s => s.Durations.Totals().Counts.Sum()))).Order());
    }

    [Fact]
    public void Routes_BeyondAHundred_AreOneOther()
    {
        var destination = new Destination("catalog", "shop", "storefront", "shop", new MetricAggregate());
        var names = Enumerable.Range(0, 150).Select(i => destination.RouteOf($"r{i}").Route).ToList();

        Assert.Equal(MeshTags.MaxRoutes, names.Count(n => n != MeshTags.Other));
        Assert.Same(destination.RouteOf("r0"), destination.RouteOf("r0"));
        Assert.Same(destination.RouteOf("x"), destination.RouteOf("y"));
    }

    [Fact]
    public async Task Balancer_ShowsWhatItThinksOfEachEndpoint()
    {
        var (good, bad) = (await AddAsync(), await AddAsync(context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        }));
        _program.Serve("catalog", [good.Endpoint, bad.Endpoint], change: c => c with { LoadBalancing = LoadBalancing.RoundRobin, OutlierDetection = new OutlierDetection(2, TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(5), 50) });
        _ = _program.Services.GetRequiredService<OutboundTableStore>();
        Assert.Equal([(MeshTags.EndpointState, "idle", ""), (MeshTags.EndpointState, "idle", "")], States());

        await Eventually.Async(
            async () =>
            {
                using var response = await _program.Client().GetAsync(new Uri("http://catalog/"), Cancel);
                return States().Contains((MeshTags.EndpointState, "ejected", "consecutive_failures")) && States().Contains((MeshTags.EndpointState, "ready", ""));
            },
            "one is ready and the other sits out");

        var gauges = Counters.ReadGauges(out var problem);
        Assert.Null(problem);
        var until = Assert.Single(gauges, g => g.Instrument.Name == MeshTags.EndpointEjectedUntil);
        Assert.Equal($"127.0.0.1:{bad.Port}", until.Tags.Single(t => t.Key == MeshTags.Endpoint).Value);
        Assert.InRange(until.Value - TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(), 1, 301);
        var own = gauges.Where(g => g.Tags.Contains(new(MeshTags.Endpoint, $"127.0.0.1:{good.Port}"))).ToDictionary(g => g.Instrument.Name, g => g);
        Assert.Equal([new(MeshTags.Destination, "catalog"), new(MeshTags.DestinationNamespace, "shop"), new(MeshTags.Endpoint, $"127.0.0.1:{good.Port}")], own[MeshTags.EndpointActive].Tags);
        Assert.Equal((0.0, 1.0, 1.0), (own[MeshTags.EndpointActive].Value, own[MeshTags.EndpointWeight].Value, own[MeshTags.EndpointConnections].Value));
        Assert.True(own[MeshTags.EndpointEwma].Value > 0);
        Assert.True(gauges.Where(g => g.Instrument.Name == GrpcTags.OpenConnections).Sum(g => g.Value) >= 1);
        Assert.True(Total(GrpcTags.ConnectionAttemptsSucceeded) >= 1);
        Assert.Equal(1, Total(GrpcTags.EjectionsEnforced));
        Assert.Equal(1, Counters.All.Where(t => t.Name == MeshTags.ClientDecisions && t.Tags.Contains(new(MeshTags.Decision, Decisions.Eject))).Sum(t => t.Total));

        List<(string, string, string)> States() => [.. Counters.ReadGauges(out _).Where(g => g.Instrument.Name == MeshTags.EndpointState)
            .Select(g => (g.Instrument.Name, g.Tags.Single(t => t.Key == MeshTags.State).Value, g.Tags.Single(t => t.Key == MeshTags.Reason).Value))];
    }

    [Fact]
    public async Task Connection_RefusedAndClosed_IsCountedAsThat()
    {
        var backend = await AddAsync();
        _program.Serve("catalog", [backend.Endpoint with { Port = FreePort.Next() }]);
        _ = Counters;
        using (var failed = await Record(() => _program.Client().GetAsync(new Uri("http://catalog/"), Cancel)))
        {
        }

        Assert.True(Total(GrpcTags.ConnectionAttemptsFailed) >= 1);
        _program.Serve("catalog", [backend.Endpoint]);
        Assert.Equal("ok", await _program.Client().GetStringAsync(new Uri("http://catalog/"), Cancel));
        Assert.Equal(0, Total(GrpcTags.Disconnections));
        _program.Config.Set(MeshSnapshot.Empty);
        await Eventually.Async(() => Total(GrpcTags.Disconnections) == 1, "the connection of an endpoint that is gone is closed");

        static async Task<IDisposable?> Record(Func<Task<HttpResponseMessage>> call)
        {
            try
            {
                return await call();
            }
            catch (HttpRequestException)
            {
                return null;
            }
        }
    }

    [Fact]
    public async Task Calls_OfASampledTrace_AreExemplars()
    {
        var source = new ActivitySource("test." + Guid.NewGuid().ToString("N"));
        using var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == source.Name || s.Name == "System.Net.Http",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        var backend = await AddAsync();
        _program.Serve("catalog", [backend.Endpoint]);
        using var own = source.StartActivity("test");

        Assert.Equal("ok", await _program.Client().GetStringAsync(new Uri("http://catalog/"), Cancel));

        var series = Assert.Single(_program.Metrics.Series, s => s.Name == MeshTags.ClientCallDuration);
        Assert.Equal(own!.TraceId.ToHexString(), series.Durations.Exemplar.Latest?.TraceId);
        source.Dispose();
    }

    [Fact]
    public async Task Grpc_IsAlsoCountedUnderItsOwnNames()
    {
        var backend = await AddAsync();
        _program.Serve("cart", [backend.Endpoint]);
        var meters = _program.Services.GetRequiredService<IMeterFactory>();
        using var attempts = new MetricCollector<double>(meters, "Mesh", GrpcTags.ClientAttemptDuration);
        using var calls = new MetricCollector<double>(meters, "Mesh", GrpcTags.ClientCallDuration);
        using var rpcs = new MetricCollector<double>(meters, "Mesh", GrpcTags.RpcClientCallDuration);
        using var sent = new MetricCollector<long>(meters, "Mesh", GrpcTags.ClientAttemptSent);
        using var received = new MetricCollector<long>(meters, "Mesh", GrpcTags.ClientAttemptReceived);
        _ = Counters;
        using var channel = MeshChannel.ForAddress("xds:///cart", _program.Services);
        var invoker = channel.CreateCallInvoker();

        await invoker.AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "hello");
        await Assert.ThrowsAsync<RpcException>(async () => await invoker.AsyncUnaryCall(EchoService.UnaryMethod, null, new CallOptions(cancellationToken: Cancel), "fail"));

        var method = EchoService.UnaryMethod.FullName.TrimStart('/');
        foreach (var collector in new[] { attempts, calls })
        {
            var seen = collector.GetMeasurementSnapshot();
            Assert.Equal(["INTERNAL", "OK"], seen.Select(m => (string)m.Tags[GrpcTags.Status]!).Order());
            Assert.All(seen, m => Assert.Equal((method, "cart.shop"), (m.Tags[GrpcTags.Method], m.Tags[GrpcTags.Target])));
        }

        Assert.Equal(["INTERNAL", "OK"], rpcs.GetMeasurementSnapshot().Select(m => (string)m.Tags[GrpcTags.RpcStatus]!).Order());
        Assert.Equal(["INTERNAL"], rpcs.GetMeasurementSnapshot().Where(m => m.Tags.ContainsKey(GrpcTags.ErrorType)).Select(m => (string)m.Tags[GrpcTags.ErrorType]!));

        // Messages are their text; framing is no part of them.
        using (var call = invoker.AsyncDuplexStreamingCall(EchoService.BidiMethod, null, new CallOptions(cancellationToken: Cancel)))
        {
            foreach (var text in new[] { "a", string.Empty, new string('b', 100_000) })
            {
                await call.RequestStream.WriteAsync(text, Cancel);
                Assert.True(await call.ResponseStream.MoveNext(Cancel));
            }

            await call.RequestStream.CompleteAsync();
            Assert.False(await call.ResponseStream.MoveNext(Cancel));
        }

        Assert.Equal([("OK", 5L), ("INTERNAL", 4L), ("OK", 100_001L)], sent.GetMeasurementSnapshot().Select(m => ((string)m.Tags[GrpcTags.Status]!, m.Value)));
        Assert.Equal([5, 0, 100_001], received.GetMeasurementSnapshot().Select(m => m.Value));
        Assert.Equal(3, Total(GrpcTags.ClientAttemptStarted));
        Assert.Equal([("cart.shop", 2L)], Counters.All.Where(c => c.Name == GrpcTags.ClientAttemptStarted && Tag(c, GrpcTags.Method) == method).Select(c => (Tag(c, GrpcTags.Target), c.Total)));

        static string Tag(CounterValue counter, string key) => counter.Tags.Single(t => t.Key == key).Value;
    }

    [Fact]
    public async Task Off_CountsNothingAndCallsWork()
    {
        await _program.DisposeAsync();
        _program = new MeshedProgram(_ca, services => services.Configure<MeshOptions>(o => o.Metrics = false));
        var backend = await AddAsync();
        _program.Serve("catalog", [backend.Endpoint]);

        Assert.Equal("ok", await _program.Client().GetStringAsync(new Uri("http://catalog/"), Cancel));
        Assert.Empty(_program.Metrics.Series);
    }

    private long Total(string name) => Counters.All.Where(t => t.Name == name).Sum(t => t.Total);

    private async Task<Backend> AddAsync(Func<HttpContext, Task>? handler = null)
    {
        var backend = await Backend.StartAsync(new FixedIdentitySource(_ca.Identity("shop", "catalog")), handler);
        _backends.Add(backend);
        return backend;
    }
}
