using System.Diagnostics;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Trace;
using Xunit;

namespace Mesh.Server.Tests;

/// <summary>Tests that set up OpenTelemetry: its listeners hear the whole process, so nothing else runs meanwhile.</summary>
[CollectionDefinition(nameof(OpenTelemetryTests), DisableParallelization = true)]
public sealed class OpenTelemetryTests;

/// <summary>What an app's own OpenTelemetry shows of one call through the mesh: nothing twice, nothing missing, one tree.</summary>
[Collection(nameof(OpenTelemetryTests))]
public sealed class AppTracerTests : IAsyncLifetime
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Activity> _exported = [];
    private readonly Activity _root = new Activity("test").SetIdFormat(ActivityIdFormat.W3C);
    private Hop _front = null!;
    private Hop _back = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _back = await Hop.StartAsync(_ca, null);
        _front = await Hop.StartAsync(_ca, _back, services => services.AddSingleton(Recorder()));
        _root.ActivityTraceFlags = ActivityTraceFlags.Recorded;
        _root.Start();
    }

    public async ValueTask DisposeAsync()
    {
        _root.Dispose();
        await _front.DisposeAsync();
        await _back.DisposeAsync();
        _ca.Dispose();
    }

    [Theory]
    [InlineData("mesh", false)]
    [InlineData("mesh", true)]
    [InlineData("mesh+http", false)]
    [InlineData("mesh+http", true)]
    [InlineData("mesh+grpc", false)]
    [InlineData("mesh+grpc", true)]
    [InlineData("mesh+aspnetcore", false)]
    [InlineData("mesh+http+grpc+aspnetcore", false)]
    [InlineData("mesh+http+grpc+aspnetcore", true)]
    public async Task Call_IsOneClientSpanOneAttemptAndOneServerSpan(string instrumentations, bool grpc)
    {
        using (Tracer(instrumentations))
        {
            await CallAsync(grpc);
            await Eventually.Async(() => Ours.Count >= 3, "three spans");
        }

        // The tracer is gone, and all it had is exported.
        Assert.Equal(3, Ours.Count);
        var client = Assert.Single(Ours, a => a.Kind == ActivityKind.Client);
        var attempt = Assert.Single(Ours, a => a.Kind == ActivityKind.Internal);
        var server = Assert.Single(Ours, a => a.Kind == ActivityKind.Server);
        Assert.Equal((_root.SpanId, client.SpanId, attempt.SpanId), (client.ParentSpanId, attempt.ParentSpanId, server.ParentSpanId));
        Assert.Equal(("mesh", "spiffe://cluster.local/ns/shop/sa/cart"), (server.GetTagItem(MeshTags.Tls), server.GetTagItem(MeshTags.Peer)));
        Assert.Equal(grpc ? "/test.Hop/Ask" : "/work", server.GetTagItem(MeshTags.Route));
        Assert.Equal(1, client.GetTagItem(MeshTags.Attempts));
        Assert.Equal(_back.Address, client.GetTagItem(MeshTags.Endpoint));
        var asked = instrumentations.Contains("grpc", StringComparison.Ordinal) && grpc;
        Assert.Equal(asked ? "OpenTelemetry.Instrumentation.GrpcNetClient" : "System.Net.Http", client.Source.Name.Replace("Grpc.Net.Client", "OpenTelemetry.Instrumentation.GrpcNetClient", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Call_TheMeshTakesACopyOfTheAppsSpans_AndTheAppHearsNothingOfIt()
    {
        using (Tracer("mesh"))
        {
            await CallAsync(grpc: false);
            await Eventually.Async(() => Ours.Count >= 3, "three spans");
        }

        var recorded = Recorded();
        Assert.Equal(Ours.Where(a => a.Kind != ActivityKind.Server).Select(a => a.SpanId.ToHexString()).Order(), recorded.Select(s => s.Activity.SpanId.ToHexString()).Order());
    }

    [Fact]
    public async Task Call_AppTracesOnlyItsServer_MeshSpansDoNotCutItsTree()
    {
        using (var tracer = Builder().AddAspNetCoreInstrumentation().Build())
        {
            _root.Stop();
            await _front.ServeRootAsync(Token);
            await Eventually.Async(() => _exported.Count(a => a.Kind == ActivityKind.Server) >= 2, "both server spans");
        }

        var (first, second) = (_exported.Single(a => a.GetTagItem("url.path") is "/relay"), _exported.Single(a => a.GetTagItem("url.path") is "/work"));
        Assert.Equal((first.TraceId, first.SpanId), (second.TraceId, second.ParentSpanId));
        // The mesh has its own spans all the same.
        var call = Assert.Single(Recorded(), s => s.Kind == ActivityKind.Client).Activity;
        Assert.Equal((first.TraceId, first.SpanId), (call.TraceId, call.ParentSpanId));
        Assert.DoesNotContain(_exported, a => a.SpanId == call.SpanId);
    }

    [Fact]
    public async Task Call_AppsSamplerSaysNo_NothingIsTraced()
    {
        using (Builder(new AlwaysOffSampler()).AddMeshInstrumentation().Build())
        {
            await CallAsync(grpc: false);
        }

        Assert.Empty(_exported);
        Assert.Empty(Recorded());
    }

    private static SpanRecorder Recorder() => new(new TraceSettings(1, false, TimeSpan.Zero), TimeProvider.System, new Random(1));

    private IReadOnlyList<Activity> Ours
    {
        get
        {
            lock (_exported)
            {
                return [.. _exported.Where(a => a.TraceId == _root.TraceId)];
            }
        }
    }

    private List<FinishedSpan> Recorded()
    {
        var (all, waiting) = (new List<FinishedSpan>(), _front.App.Services.GetRequiredService<SpanRecorder>().Waiting);
        while (waiting.TryRead(out var span))
        {
            all.Add(span);
        }

        return all;
    }

    private TracerProviderBuilder Builder(Sampler? sampler = null) => Sdk.CreateTracerProviderBuilder().SetSampler(sampler ?? new AlwaysOnSampler()).AddProcessor(new Keep(_exported));

    private TracerProvider Tracer(string instrumentations)
    {
        var builder = Builder();
        foreach (var name in instrumentations.Split('+'))
        {
            builder = name switch
            {
                "mesh" => builder.AddMeshInstrumentation(),
                "http" => builder.AddHttpClientInstrumentation(),
                "grpc" => builder.AddGrpcClientInstrumentation(),
                _ => builder.AddAspNetCoreInstrumentation(),
            };
        }

        return builder.Build();
    }

    private async Task CallAsync(bool grpc)
    {
        Activity.Current = _root;
        Assert.Equal("ok", grpc ? await _front.AskNextByGrpcAsync() : await _front.AskNextAsync());
        Activity.Current = null;
    }

    /// <summary>The SDK's own simple export, into a list that is safe to look at meanwhile.</summary>
    private sealed class Keep(List<Activity> all) : SimpleExportProcessor<Activity>(new Exporter(all))
    {
        private sealed class Exporter(List<Activity> all) : BaseExporter<Activity>
        {
            public override ExportResult Export(in Batch<Activity> batch)
            {
                lock (all)
                {
                    foreach (var activity in batch)
                    {
                        all.Add(activity);
                    }
                }

                return ExportResult.Success;
            }
        }
    }
}

/// <summary>What the mesh records of an app that has no tracer.</summary>
[Collection(nameof(OpenTelemetryTests))]
public sealed class RecordedSpanTests : IAsyncLifetime
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string SpanId = "00f067aa0ba902b7";
    private readonly TestCa _ca = new("cluster.local");
    private Hop _front = null!;
    private Hop _back = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _front.DisposeAsync();
        await _back.DisposeAsync();
        _ca.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Request_OfAChosenRoot_IsFollowedThroughBothServices(bool logs)
    {
        // The host makes a span for its log's sake alone, too.
        await StartAsync(ratio: 1, logs);

        await _front.ServeRootAsync(Token);

        var (front, back) = (await SpansAsync(_front, 3), await SpansAsync(_back, 1));
        var (root, call, attempt, served) = (Of(front, ActivityKind.Server), Of(front, ActivityKind.Client), Of(front, ActivityKind.Internal), Of(back, ActivityKind.Server));
        Assert.Single(front.Concat(back).Select(s => s.Activity.TraceId).Distinct());
        Assert.Equal(default, root.Activity.ParentSpanId);
        Assert.Equal((root.Activity.SpanId, call.Activity.SpanId, attempt.Activity.SpanId), (call.Activity.ParentSpanId, attempt.Activity.ParentSpanId, served.Activity.ParentSpanId));
        Assert.Equal(("GET /relay", "GET next", "GET /work"), (root.Name, call.Name, served.Name));
        Assert.Contains(new("http.route", "/work"), served.Facts!);
        Assert.All(front.Concat(back), s => Assert.False(s.Failed));
    }

    [Theory]
    [InlineData("traceparent", $"00-{TraceId}-{SpanId}-01", true)]
    [InlineData("traceparent", $"00-{TraceId}-{SpanId}-00", false)]
    [InlineData("b3", $"{TraceId}-{SpanId}-1", true)]
    [InlineData("b3", $"{TraceId}-{SpanId}-0", false)]
    [InlineData("x-b3-traceid", TraceId, true)]
    [InlineData("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE", true)]
    [InlineData("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA", false)]
    public async Task Request_OfATracedCaller_GoesByIt(string name, string value, bool recorded)
    {
        // Of roots none: what is recorded is so because of its caller.
        await StartAsync(ratio: 0);

        await _front.ServeRootAsync(Token, (name, value), ("x-b3-spanid", SpanId), ("x-b3-sampled", "1"));

        if (!recorded)
        {
            await _front.ServeRootAsync(Token, ("traceparent", $"00-{TraceId[..31]}f-{SpanId}-01"));
        }

        var front = await SpansAsync(_front, 3);
        Assert.Equal(3, front.Count);
        var expected = recorded ? TraceId : TraceId[..31] + "f";
        Assert.All(front.Concat(await SpansAsync(_back, 1)), s => Assert.Equal(expected, s.Activity.TraceId.ToHexString()));
        Assert.Equal(SpanId, Of(front, ActivityKind.Server).Activity.ParentSpanId.ToHexString());
    }

    [Fact]
    public async Task FailedRequest_ThatWasNotChosen_IsKeptAfterwards()
    {
        await StartAsync(ratio: 0);
        _back.Work = context =>
        {
            context.Response.StatusCode = 500;
            return Task.FromResult("no");
        };

        await _front.ServeRootAsync(Token);

        var (front, back) = (await SpansAsync(_front, 2), await SpansAsync(_back, 1));
        var (root, call, served) = (Of(front, ActivityKind.Server), Of(front, ActivityKind.Client), Of(back, ActivityKind.Server));
        Assert.All([root, call, served], s => Assert.True(s.Failed));
        Assert.Single(front.Concat(back).Select(s => s.Activity.TraceId).Distinct());
        Assert.Equal((root.Activity.SpanId, root.Activity.SpanId), (call.Activity.ParentSpanId, served.Activity.ParentSpanId));
        Assert.Equal((500, true), (call.Activity.GetTagItem("http.response.status_code"), call.Activity.GetTagItem(MeshTags.Late)));

        _back.Work = _ => Task.FromResult("ok");
        await _front.ServeRootAsync(Token);
        Assert.Equal(2, (await SpansAsync(_front, 2)).Count);
    }

    [Fact]
    public async Task Outage_KeepsSomeSpansASecond()
    {
        await StartAsync(ratio: 0);
        var recorder = _front.App.Services.GetRequiredService<SpanRecorder>();
        var kept = Enumerable.Range(0, 100_000).Count(_ => recorder.WantsLate(failed: true, TimeSpan.Zero));

        Assert.InRange(kept, 1, 100 * SpanRecorder.MaxLatePerSecond);
        Assert.False(recorder.WantsLate(failed: false, TimeSpan.FromMilliseconds(999)));
    }

    [Fact]
    public void Queue_ThatNobodyEmpties_DropsTheOldestAndSaysSo()
    {
        using var recorder = new SpanRecorder(new TraceSettings(1, false, TimeSpan.Zero), TimeProvider.System, new Random(1));
        var spans = Enumerable.Range(0, SpanRecorder.MaxWaiting + 5).Select(i => new FinishedSpan(new Activity($"{i}"), $"{i}", ActivityKind.Client, default, default, false)).ToList();
        spans.ForEach(recorder.Record);

        Assert.Equal(5, recorder.Dropped);
        Assert.True(recorder.Waiting.TryRead(out var oldest));
        Assert.Equal("5", oldest.Name);
        (_front, _back) = (new Hop(), new Hop());
    }

    private static FinishedSpan Of(IEnumerable<FinishedSpan> spans, ActivityKind kind) => Assert.Single(spans, s => s.Kind == kind);

    private async Task StartAsync(double ratio, bool logs = true)
    {
        _back = await Hop.StartAsync(_ca, null, Record);
        _front = await Hop.StartAsync(_ca, _back, Record);

        void Record(IServiceCollection services)
        {
            services.AddSingleton(new SpanRecorder(new TraceSettings(ratio, true, TimeSpan.FromSeconds(1000)), TimeProvider.System, new Random(1)));
            if (logs)
            {
                services.AddLogging(logging => logging.AddFakeLogging());
            }
        }
    }

    private readonly Dictionary<Hop, List<FinishedSpan>> _taken = [];

    private async Task<IReadOnlyList<FinishedSpan>> SpansAsync(Hop hop, int count)
    {
        if (!_taken.TryGetValue(hop, out var spans))
        {
            _taken[hop] = spans = [];
        }

        var waiting = hop.App.Services.GetRequiredService<SpanRecorder>().Waiting;
        await Eventually.Async(
            () =>
            {
                while (waiting.TryRead(out var span))
                {
                    spans.Add(span);
                }

                return spans.Count >= count;
            },
            $"{count} spans");
        return spans;
    }
}
