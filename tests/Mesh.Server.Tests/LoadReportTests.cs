using System.Collections.Immutable;
using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Outbound;
using Mesh.Protos.Orca;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Load reports (ORCA) between real servers and clients: with answers and on a stream, to whom, and when not.</summary>
[Trait("gRFC", "A51")]
public sealed class LoadReportTests : IAsyncLifetime
{
    private const string Ask = "endpoint-load-metrics-format";
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<IAsyncDisposable> _toDispose = [];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var disposable in Enumerable.Reverse(_toDispose))
        {
            await disposable.DisposeAsync();
        }

        _ca.Dispose();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("http/1.1")]
    [InlineData("grpc")]
    [InlineData("grpc-error")]
    public async Task InBand_ClusterWeighsByReports_EachAnswerBringsOne(string protocol)
    {
        var (caller, server) = await ChainAsync(new(false, TimeSpan.FromSeconds(10), TimeSpan.Zero, TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(1), 1, []));
        server.App.Services.GetRequiredService<MeshLoadReporter>().ApplicationUtilization = 0.5;
        if (protocol == "grpc-error")
        {
            server.Work = _ => throw new RpcException(new Status(StatusCode.NotFound, "as asked"));
        }

        // The measured rate is there after a moment of calls; weight is calls per second by utilization.
        await Eventually.Async(
            async () =>
            {
                await CallAsync(caller, protocol);
                return Weight(caller) > 0;
            },
            "a report with a rate arrives");
    }

    [Fact]
    public async Task OutOfBand_ClusterWeighsByReports_AStreamBringsThem()
    {
        var (caller, server) = await ChainAsync(new(true, TimeSpan.FromMilliseconds(100), TimeSpan.Zero, TimeSpan.FromMinutes(3), TimeSpan.FromSeconds(1), 1, ["named_metrics.queue"]));
        var reporter = server.App.Services.GetRequiredService<MeshLoadReporter>();
        reporter.SetMetric("queue", 0.25);
        await CallAsync(caller, "http");
        await Eventually.Async(() => Weight(caller) > 0, "a report with a rate arrives without further calls");
        // Not counted as a call, and not asked for with calls.
        Assert.Equal(1, server.App.Requests("cart"));

        // The policy changes: the stream ends, and the server can stop at once.
        caller.App.Config.Set(caller.App.Config.Snapshots.Current! with { Clusters = Clusters(server, c => c) });
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await server.App.StopAsync(soon.Token);
        Assert.False(soon.IsCancellationRequested);
    }

    [Fact]
    public async Task Http_WhoMayHaveAReport()
    {
        var app = await AppAsync();
        var (name, identity) = (app.Identity.Current!.Svid.Id, _ca.Identity("shop", "storefront"));
        foreach (var version in new[] { HttpVersion.Version11, HttpVersion.Version20 })
        {
            using var mesh = MeshApp.MeshClient(identity, name, version);
            Assert.Null(await ReportAsync(mesh, app, null));
            Assert.StartsWith("TEXT cpu_utilization=", await ReportAsync(mesh, app, "text"), StringComparison.Ordinal);
            Assert.Equal(0.5, OrcaLoadReport.Parser.ParseFrom(Convert.FromBase64String((await ReportAsync(mesh, app, "BIN"))!)).ApplicationUtilization);
        }

        using var plain = new HttpClient();
        Assert.Null(await ReportAsync(plain, app, "text"));
        var open = await AppAsync(toAll: true);
        Assert.StartsWith("TEXT cpu_utilization=", await ReportAsync(plain, open, null), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Grpc_ForeignPeerOfTheMesh_GetsReportsUnasked()
    {
        var app = await AppAsync();
        Assert.Equal(0.5, (await TrailerAsync(app, marker: false))!.ApplicationUtilization);
        // Ours would have asked.
        Assert.Null(await TrailerAsync(app, marker: true));
    }

    [Fact]
    public async Task Stream_ForeignPeer_FirstReportComesAtOnceAndTheStreamEndsWithTheServer()
    {
        var app = await AppAsync();
        using var channel = Channel(app, marker: false);
        using var call = new OpenRcaService.OpenRcaServiceClient(channel).StreamCoreMetrics(
            new OrcaLoadReportRequest { ReportInterval = Google.Protobuf.WellKnownTypes.Duration.FromTimeSpan(TimeSpan.FromMinutes(10)) }, cancellationToken: Cancel);
        Assert.True(await call.ResponseStream.MoveNext(Cancel));
        Assert.Equal(0.5, call.ResponseStream.Current.ApplicationUtilization);
        var end = call.ResponseStream.MoveNext(Cancel);
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await app.StopAsync(soon.Token);
        Assert.False(soon.IsCancellationRequested);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => end)).StatusCode);
    }

    [Fact]
    public async Task Stream_CallerOutsideOfTheMesh_IsNotServedUnlessTheOptionSaysSo()
    {
        foreach (var toAll in new[] { false, true })
        {
            var app = await AppAsync(toAll, web => web.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2)));
            using var channel = GrpcChannel.ForAddress($"http://127.0.0.1:{app.Port}");
            using var call = new OpenRcaService.OpenRcaServiceClient(channel).StreamCoreMetrics(new OrcaLoadReportRequest(), cancellationToken: Cancel);
            if (toAll)
            {
                Assert.True(await call.ResponseStream.MoveNext(Cancel));
            }
            else
            {
                Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancel))).StatusCode);
            }
        }
    }

    [Fact]
    public async Task Stream_AppServesItItself_IsLeftToTheApp()
    {
        var app = await AppAsync(routes: routes => routes.MapPost(LoadStream.Path, () => "mine"));
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "storefront"), app.Identity.Current!.Svid.Id, HttpVersion.Version20);
        using var answer = await client.PostAsync(new Uri($"http://127.0.0.1:{app.Port}{LoadStream.Path}"), null, Cancel);
        Assert.Equal("mine", await answer.Content.ReadAsStringAsync(Cancel));
    }

    [Theory]
    [InlineData(new byte[] { })]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0xff, 0xff, 0xff, 0xff })]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 2, 0xff, 0xff })]
    public async Task Stream_BrokenRequest_IsRefused(byte[] body)
    {
        var app = await AppAsync();
        using var client = MeshApp.MeshClient(_ca.Identity("shop", "storefront"), app.Identity.Current!.Svid.Id, HttpVersion.Version20);
        using var answer = await client.PostAsync(new Uri($"http://127.0.0.1:{app.Port}{LoadStream.Path}"), new ByteArrayContent(body), Cancel);
        Assert.Equal("3", Assert.Single(answer.Headers.GetValues("grpc-status")));
    }

    private static async Task CallAsync(Hop caller, string protocol)
    {
        switch (protocol)
        {
            case "grpc":
                await caller.AskNextByGrpcAsync();
                break;
            case "grpc-error":
                await Assert.ThrowsAsync<RpcException>(caller.AskNextByGrpcAsync);
                break;
            case "http":
                await caller.AskNextAsync();
                break;
            default:
                using (var client = caller.App.Services.GetRequiredService<IHttpClientFactory>().CreateClient())
                {
                    using var request = new HttpRequestMessage(HttpMethod.Get, "http://next/work") { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
                    using var response = await client.SendAsync(request, Cancel);
                    Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                }

                break;
        }
    }

    /// <summary>What the caller's only endpoint is worth to it.</summary>
    private static double Weight(Hop caller)
    {
        var cluster = caller.App.Services.GetRequiredService<OutboundTableStore>().Current.Find(ListenerKey.Parse("next"))!.Clusters[0];
        return cluster.Balancer.Endpoints[0].LoadWeight(cluster.Config.WeightedRoundRobin, TimeProvider.System, TimeProvider.System.GetTimestamp());
    }

    private async Task<(Hop Caller, Hop Server)> ChainAsync(WeightedRoundRobin weights)
    {
        var server = await Hop.StartAsync(_ca, null);
        _toDispose.Add(server);
        var caller = await Hop.StartAsync(_ca, server);
        _toDispose.Add(caller);
        caller.App.Config.Set(caller.App.Config.Snapshots.Current! with { Clusters = Clusters(server, c => c with { LoadBalancing = LoadBalancing.WeightedRoundRobin, WeightedRoundRobin = weights }) });
        return (caller, server);
    }

    private static ImmutableDictionary<string, ClusterResult> Clusters(Hop server, Func<Cluster, Cluster> change) => ImmutableDictionary<string, ClusterResult>.Empty.Add("next", new ClusterResult.Found(
        change(new Cluster("next", "next", TimeSpan.FromSeconds(2))),
        new LoadAssignment("next", [new(new("", "", ""), 0, 1, [new Mesh.Config.Endpoint("127.0.0.1", server.App.Port, 1, true) { Tls = EndpointTls.Mesh, SpiffeId = server.App.Identity.Current!.Svid.Id, SpeaksHttp2 = true }])])));

    private async Task<MeshApp> AppAsync(bool toAll = false, Action<IWebHostBuilder>? web = null, Action<WebApplication>? routes = null)
    {
        var app = await MeshApp.StartAsync(
            _ca,
            web,
            a =>
            {
                a.MapGrpcService<HopService>();
                routes?.Invoke(a);
            },
            services =>
            {
                services.AddGrpc();
                services.AddSingleton(new Hop());
                services.Configure<MeshOptions>(o => o.Server.ReportLoadToAll = toAll);
            });
        _toDispose.Add(app);
        app.Config.Set(MeshApp.Inbound($"127.0.0.1:{app.Port}"));
        app.Services.GetRequiredService<MeshLoadReporter>().ApplicationUtilization = 0.5;
        return app;
    }

    private static async Task<string?> ReportAsync(HttpClient client, MeshApp app, string? ask)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://127.0.0.1:{app.Port}/") { Version = client.DefaultRequestVersion, VersionPolicy = client.DefaultVersionPolicy };
        if (ask is not null)
        {
            request.Headers.Add(Ask, ask);
        }

        using var response = await client.SendAsync(request, Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return response.Headers.TryGetValues("endpoint-load-metrics", out var text) ? text.Single() : response.Headers.TryGetValues("endpoint-load-metrics-bin", out var binary) ? binary.Single() : null;
    }

    private async Task<OrcaLoadReport?> TrailerAsync(MeshApp app, bool marker)
    {
        using var channel = Channel(app, marker);
        using var call = channel.CreateCallInvoker().AsyncUnaryCall(HopService.AskMethod, null, new CallOptions(cancellationToken: Cancel), "x");
        Assert.Equal("ok", await call);
        return call.GetTrailers().GetValueBytes("endpoint-load-metrics-bin") is { } bytes ? OrcaLoadReport.Parser.ParseFrom(bytes) : null;
    }

    private GrpcChannel Channel(MeshApp app, bool marker) => GrpcChannel.ForAddress(
        $"http://127.0.0.1:{app.Port}",
        new GrpcChannelOptions { HttpClient = MeshApp.MeshClient(_ca.Identity("shop", "storefront"), app.Identity.Current!.Svid.Id, HttpVersion.Version20, marker), DisposeHttpClient = true });
}
