using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.Client.Tests;

/// <summary>Active health checks over real connections, in plaintext and with mesh TLS.</summary>
public sealed class HealthCheckTests : IAsyncLifetime
{
    private static readonly TimeSpan _soon = TimeSpan.FromMilliseconds(50);
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private MeshedProgram _program = null!;
    private MetricCollector<long> _decisions = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        _program = new MeshedProgram(_ca, services => services.AddMetrics());
        _decisions = new MetricCollector<long>(_program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _decisions.Dispose();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(false, HttpProtocols.Http1)]
    [InlineData(true, HttpProtocols.Http1AndHttp2)]
    public async Task Http_EndpointTurnsBad_GetsNoCallsUntilItIsGoodAgain(bool mesh, HttpProtocols protocols)
    {
        var sick = 0;
        var probes = new ConcurrentQueue<string>();
        for (var i = 0; i < 3; i++)
        {
            var own = i;
            await AddAsync(mesh, protocols, async context =>
            {
                if (context.Request.Path == "/healthz")
                {
                    probes.Enqueue($"{context.Request.Host} {context.Request.Protocol} {context.Request.Headers.UserAgent}");
                    context.Response.StatusCode = own == 0 ? Volatile.Read(ref sick) : 204;
                    return;
                }

                await context.Response.WriteAsync($"{own}", Cancel);
            });
        }

        sick = 204;
        Serve(new HealthProbe.Http("/healthz", null, []));
        await Eventually.Async(() => probes.Count >= 6, "all are probed");
        Assert.All(probes, p => Assert.Equal($"catalog {(mesh ? "HTTP/2" : "HTTP/1.1")} mesh-health-check", p));
        Assert.Equal(["0", "1", "2"], (await AskAsync(60)).Order());

        Volatile.Write(ref sick, 503);
        await Eventually.Async(() => Logged("sits out until its health check is good again"), "it is taken out");
        Assert.Contains("GET /healthz was answered with 503", _program.Logs.GetSnapshot().Single(r => r.Level == LogLevel.Warning).Message);
        Assert.Equal(["1", "2"], (await AskAsync(60)).Order());

        Volatile.Write(ref sick, 204);
        await Eventually.Async(() => Logged("is back: GET /healthz was answered with 204"), "it is back");
        Assert.Contains("0", await AskAsync(60));

        Assert.Single(_decisions.GetMeasurementSnapshot(), m => (string?)m.Tags[MeshTags.Decision] == Decisions.Eject && (string?)m.Tags[MeshTags.Reason] == "health_check");
        // Probes are no calls.
        Assert.Equal(180, _program.Count(MeshTags.ClientCallDuration));
        Assert.Equal(180, _program.Count(MeshTags.ClientAttemptDuration));
    }

    [Fact]
    public async Task Http_OtherStatusesAndHost_AreAsTheCheckSays()
    {
        await AddAsync(true, HttpProtocols.Http1AndHttp2, context =>
        {
            context.Response.StatusCode = context.Request.Path == "/up" && context.Request.Host.Value == "health.shop:9" ? 404 : 200;
            return context.Response.WriteAsync("x", Cancel);
        });
        await AddAsync(true, HttpProtocols.Http1AndHttp2, context => context.Response.WriteAsync("y", Cancel));
        Serve(new HealthProbe.Http("/up", "health.shop:9", [(404, 405)]));
        await Eventually.Async(() => Logged("GET /up was answered with 200"), "the other one is taken out");
        Assert.Equal(["x"], await AskAsync(20));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Grpc_NotServing_SitsOut(bool mesh)
    {
        var identity = mesh ? new FixedIdentitySource(_ca.Identity("shop", "catalog")) : null;
        await using var serving = await BareBackend.StartAsync(identity, context => HealthAsync(context, status: 1));
        await using var not = await BareBackend.StartAsync(identity, context => HealthAsync(context, status: 2));
        await using var other = await BareBackend.StartAsync(identity, context => context.Response.WriteAsync("no gRPC here", Cancel));
        // It serves gRPC, but not this.
        await AddAsync(mesh, HttpProtocols.Http2, context => context.Response.WriteAsync("x", Cancel));
        Serve([serving.Endpoint, not.Endpoint, other.Endpoint, _backends[0].Endpoint], Check(new HealthProbe.Grpc("shop.Catalog")));
        await Eventually.Async(() => Usable() is [_, false, false, false], "three are taken out");
        Assert.True(Usable()[0]);
        foreach (var why in new[] { "grpc.health.v1.Health/Check of 'shop.Catalog' says NOT_SERVING", "the probe failed: The answer is no plain gRPC message", "it has no grpc.health.v1.Health service" })
        {
            await Eventually.Async(() => Logged(why), why);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tcp_NobodyListens_SitsOutAtOnceAndReturnsWithTheServer(bool mesh)
    {
        await AddAsync(mesh, HttpProtocols.Http1AndHttp2, context => context.Response.WriteAsync("x", Cancel));
        await AddAsync(mesh, HttpProtocols.Http1AndHttp2, context => context.Response.WriteAsync("y", Cancel));
        var port = _backends[1].Port;
        // One bad probe is far from the threshold: it is the refusal that counts.
        Serve(new HealthProbe.Tcp(), unhealthy: 1000);
        await Eventually.Async(() => AskAsync(10).Result.Count == 2, "both serve");
        await _backends[1].KillAsync();
        await _backends[1].DisposeAsync();
        await Eventually.Async(() => Usable() is [true, false], "it is taken out");
        _backends[1] = await Backend.StartAsync(mesh ? new FixedIdentitySource(_ca.Identity("shop", "catalog")) : null, context => context.Response.WriteAsync("y", Cancel), port);
        await Eventually.Async(() => Usable() is [true, true], "it is back");
    }

    [Fact]
    public async Task Tcp_AnotherWorkloadAtTheAddress_IsNotHealthy()
    {
        await AddAsync(true, HttpProtocols.Http1AndHttp2, context => context.Response.WriteAsync("x", Cancel));
        var stranger = _backends[0].Endpoint with { SpiffeId = _ca.Identity("shop", "payments").Svid.Id };
        _program.Serve("catalog", [stranger], change: c => c with { HealthCheck = Check(new HealthProbe.Tcp()) });
        await Eventually.Async(() => Usable() is [false], "it is taken out");
    }

    [Fact]
    public async Task Http_NoAnswerInTime_IsBad()
    {
        await AddAsync(true, HttpProtocols.Http1AndHttp2, async context => await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted));
        Serve(new HealthProbe.Http("/", null, []), timeout: TimeSpan.FromMilliseconds(100));
        await Eventually.Async(() => Logged("no answer within 0.1 s"), "it is taken out");
        Assert.Equal([false], Usable());
    }

    [Fact]
    public async Task AllProbesFail_CallsStillReachSomebody()
    {
        for (var i = 0; i < 2; i++)
        {
            await AddAsync(true, HttpProtocols.Http1AndHttp2, context =>
            {
                context.Response.StatusCode = context.Request.Path == "/healthz" ? 500 : 200;
                return context.Response.WriteAsync("served", Cancel);
            });
        }

        Serve(new HealthProbe.Http("/healthz", null, []));
        await Eventually.Async(() => Usable() is [false, false], "all are out");
        Assert.Equal(["served"], await AskAsync(20));
    }

    [Fact]
    public async Task CheckIsTakenAway_ProbesEndAndEverybodyIsBack()
    {
        var probes = 0;
        await AddAsync(true, HttpProtocols.Http1AndHttp2, context =>
        {
            Interlocked.Increment(ref probes);
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        Serve(new HealthProbe.Http("/healthz", null, []));
        await Eventually.Async(() => Usable() is [false], "it is out");
        Serve(null);
        await Eventually.Async(() => Usable() is [true], "it is back");
        var store = _program.Services.GetRequiredService<OutboundTableStore>();
        var cluster = Cluster();
        Serve(new HealthProbe.Http("/healthz", null, []));
        await Eventually.Async(() => Usable() is [false], "it is out again");
        // The cluster goes: drained, and nobody asks any more.
        _program.Config.Set(MeshSnapshot.Empty);
        await Eventually.Async(() => !cluster.Balancer.Endpoints[0].ProbeFailing, "the loop has let go");
        await cluster.StopAsync();
        var seen = Volatile.Read(ref probes);
        await store.DisposeAsync();
        Assert.Equal(seen, Volatile.Read(ref probes));
    }

    private static async Task HealthAsync(HttpContext context, byte status)
    {
        Assert.Equal("/grpc.health.v1.Health/Check", context.Request.Path);
        Assert.Equal("application/grpc", context.Request.ContentType);
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, Cancel);
        Assert.Equal([0, 0, 0, 0, 14, 10, 12, .. "shop.Catalog"u8], body.ToArray());
        context.Response.ContentType = "application/grpc";
        await context.Response.Body.WriteAsync(new byte[] { 0, 0, 0, 0, 2, 8, status }, Cancel);
        context.Response.AppendTrailer("grpc-status", "0");
    }

    private static HealthCheck Check(HealthProbe probe, int unhealthy = 2, TimeSpan? timeout = null) => new(probe, _soon, timeout ?? TimeSpan.FromSeconds(5), unhealthy, 2);

    private async Task AddAsync(bool mesh, HttpProtocols protocols, Func<HttpContext, Task> handler) =>
        _backends.Add(await Backend.StartAsync(mesh ? new FixedIdentitySource(_ca.Identity("shop", "catalog")) : null, handler, protocols: protocols));

    private void Serve(HealthProbe? probe, int unhealthy = 2, TimeSpan? timeout = null) =>
        Serve([.. _backends.Select(b => b.Endpoint)], probe is null ? null : Check(probe, unhealthy, timeout));

    private void Serve(Mesh.Config.Endpoint[] endpoints, HealthCheck? check)
    {
        _program.Serve("catalog", endpoints, change: c => c with { LoadBalancing = LoadBalancing.RoundRobin, PanicThresholdPercent = 0, HealthCheck = check });
        // The table is compiled when the store is first asked for.
        _program.Services.GetRequiredService<OutboundTableStore>();
    }

    private OutboundCluster Cluster() => _program.Services.GetRequiredService<OutboundTableStore>().Current.Find(ListenerKey.Parse("catalog"))!.Clusters[0];

    private bool[] Usable() => [.. Cluster().Balancer.Endpoints.Select(e => !e.ProbeFailing)];

    private bool Logged(string text) => _program.Logs.GetSnapshot().Any(r => r.Message.Contains(text, StringComparison.Ordinal));

    private async Task<HashSet<string>> AskAsync(int times)
    {
        var seen = new HashSet<string>();
        using var client = _program.Client();
        for (var i = 0; i < times; i++)
        {
            seen.Add(await client.GetStringAsync(new Uri("http://catalog/"), Cancel));
        }

        return seen;
    }
}
