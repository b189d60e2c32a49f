using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Mesh.Telemetry;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.Transparent.Tests;

/// <summary>What the proxy adds to a trace: a client's span with its attempts, a server's span, and the context that it hands on.</summary>
public sealed class TracingTests
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string SpanId = "00f067aa0ba902b7";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SampledRequest_GetsASpanOnEachSide(bool http2)
    {
        await using var lab = await Lab.StartAsync(http2);

        await lab.GetAsync(("traceparent", $"00-{TraceId}-{SpanId}-01"), ("tracestate", "vendor=1"));

        var (client, server) = (await lab.SpansAsync(lab.Pair.Client, 2), await lab.SpansAsync(lab.Pair.Server, 1));
        var attempt = client.Single(s => s.Kind == ActivityKind.Internal).Activity;
        var call = client.Single(s => s.Kind == ActivityKind.Client).Activity;
        var served = Assert.Single(server);
        Assert.All([call, attempt, served.Activity], a => Assert.Equal((TraceId, "vendor=1"), (a.TraceId.ToHexString(), a.TraceStateString)));
        Assert.Equal((SpanId, call.SpanId, attempt.SpanId), (call.ParentSpanId.ToHexString(), attempt.ParentSpanId, served.Activity.ParentSpanId));
        Assert.Equal((ActivityKind.Server, false, "spiffe://cluster.local/ns/shop/sa/web"), (served.Kind, served.Failed, served.Activity.GetTagItem(MeshTags.Peer)));
        Assert.Equal($"00-{TraceId}-{served.Activity.SpanId.ToHexString()}-01", lab.Seen["traceparent"]);
        Assert.Equal("vendor=1", lab.Seen["tracestate"]);
    }

    [Fact]
    public async Task B3Request_IsContinuedInItsForm()
    {
        await using var lab = await Lab.StartAsync();

        await lab.GetAsync(("b3", $"{TraceId}-{SpanId}-1"));

        var served = Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1)).Activity;
        Assert.Equal(TraceId, served.TraceId.ToHexString());
        Assert.Equal(SpanId, (await lab.SpansAsync(lab.Pair.Client, 2)).Single(s => s.Kind == ActivityKind.Client).Activity.ParentSpanId.ToHexString());
        Assert.EndsWith($"-{served.SpanId.ToHexString()}-01", lab.Seen["traceparent"], StringComparison.Ordinal);
        Assert.Equal($"{TraceId}-{served.SpanId.ToHexString()}-1", lab.Seen["b3"]);
    }

    [Fact]
    public async Task GrpcBinaryRequest_IsContinuedInItsForm()
    {
        await using var lab = await Lab.StartAsync();

        await lab.GetAsync(("grpc-trace-bin", TraceContext.ToBinary(ActivityTraceId.CreateFromString(TraceId), ActivitySpanId.CreateFromString(SpanId), sampled: true)));

        var served = Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1)).Activity;
        Assert.Equal(SpanId, (await lab.SpansAsync(lab.Pair.Client, 2)).Single(s => s.Kind == ActivityKind.Client).Activity.ParentSpanId.ToHexString());
        Assert.Equal($"00-{TraceId}-{served.SpanId.ToHexString()}-01", lab.Seen["traceparent"]);
        // An app that reads nothing else finds its parent as well, behind both sidecars.
        Assert.Equal(TraceContext.ToBinary(served.TraceId, served.SpanId, sampled: true), lab.Seen["grpc-trace-bin"]);
    }

    [Fact]
    public async Task B3Headers_WithoutMesh_AreReadAndWritten()
    {
        await using var lab = await Lab.StartAsync(meshed: false);

        await lab.GetAsync(("x-b3-traceid", TraceId[16..]), ("x-b3-spanid", SpanId), ("x-b3-sampled", "1"));

        var served = Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1)).Activity;
        Assert.Equal("0000000000000000" + TraceId[16..], served.TraceId.ToHexString());
        Assert.Contains(served.SpanId.ToHexString(), lab.Seen["traceparent"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("traceparent", $"00-{TraceId}-{SpanId}-00")]
    [InlineData("b3", $"{TraceId}-{SpanId}-0")]
    [InlineData("b3", "0")]
    [InlineData("grpc-trace-bin", "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgA")]
    [InlineData("x-other", "1")]
    public async Task RequestThatIsNotSampled_PassesAsItIs(string name, string value)
    {
        await using var lab = await Lab.StartAsync();

        await lab.GetAsync((name, value));
        // The one that is recorded shows that the other was not.
        var untouched = lab.Seen.ToDictionary();
        await lab.GetAsync(("traceparent", $"00-{TraceId}-{SpanId}-01"));

        Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1));
        Assert.Equal(2, (await lab.SpansAsync(lab.Pair.Client, 2)).Count);
        Assert.Equal(value, untouched[name]);
        Assert.Equal(name == "traceparent", untouched.ContainsKey("traceparent"));
    }

    [Fact]
    public async Task RatioOne_TracesWhatBringsNoContext()
    {
        await using var lab = await Lab.StartAsync(ratio: 1);

        await lab.GetAsync();

        var client = await lab.SpansAsync(lab.Pair.Client, 2);
        var served = Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1)).Activity;
        Assert.Single(client.Select(s => s.Activity.TraceId).Append(served.TraceId).Distinct());
        Assert.Equal(default, client.Single(s => s.Kind == ActivityKind.Client).Activity.ParentSpanId);
    }

    [Fact]
    public async Task FailedCallThatIsNotSampled_IsKeptWhereThatIsWanted()
    {
        await using var lab = await Lab.StartAsync(failed: true);
        lab.Status = 500;

        await lab.GetAsync(("traceparent", $"00-{TraceId}-{SpanId}-00"));

        var call = Assert.Single(await lab.SpansAsync(lab.Pair.Client, 1));
        var served = Assert.Single(await lab.SpansAsync(lab.Pair.Server, 1));
        Assert.All([call, served], s => Assert.Equal((true, TraceId, SpanId), (s.Failed, s.Activity.TraceId.ToHexString(), s.Activity.ParentSpanId.ToHexString())));
        Assert.Equal($"00-{TraceId}-{SpanId}-00", lab.Seen["traceparent"]);
        Assert.Equal(500, call.Activity.GetTagItem("http.response.status_code"));
    }

    /// <summary>Two proxies whose spans are kept here, and an app that notes the headers of its last request.</summary>
    private sealed class Lab : IAsyncDisposable
    {
        private readonly Dictionary<SidecarHarness, List<FinishedSpan>> _spans = [];
        private WebApplication _app = null!;
        private bool _http2;

        public SidecarPair Pair { get; private set; } = null!;

        public ConcurrentDictionary<string, string> Seen { get; } = new(StringComparer.OrdinalIgnoreCase);

        public int Status { get; set; } = 200;

        public static async Task<Lab> StartAsync(bool http2 = false, double ratio = 0, bool failed = false, bool meshed = true)
        {
            var lab = new Lab { _http2 = http2 };
            (lab._app, var address) = await SidecarPair.AppAsync(
                app => app.Run(context =>
                {
                    lab.Seen.Clear();
                    foreach (var (name, value) in context.Request.Headers)
                    {
                        lab.Seen[name] = value.ToString();
                    }

                    context.Response.StatusCode = lab.Status;
                    return context.Response.WriteAsync("ok");
                }),
                http2 ? Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http2 : Microsoft.AspNetCore.Server.Kestrel.Core.HttpProtocols.Http1);
            lab.Pair = await SidecarPair.StartAsync(address, meshed, services: services => services.AddSingleton(provider =>
                new SpanRecorder(new TraceSettings(ratio, failed, TimeSpan.Zero, ContinuesRequests: true), provider.GetRequiredService<TimeProvider>(), new Random(1))));
            return lab;
        }

        public async Task GetAsync(params (string Name, string Value)[] headers)
        {
            using var http = Pair.Http(_http2 ? HttpVersion.Version20 : HttpVersion.Version11, handler => handler.ActivityHeadersPropagator = null);
            using var request = new HttpRequestMessage(HttpMethod.Get, "/items?secret=1") { Version = http.DefaultRequestVersion, VersionPolicy = http.DefaultVersionPolicy };
            foreach (var (name, value) in headers)
            {
                request.Headers.Add(name, value);
            }

            using var response = await http.SendAsync(request, Token);
            Assert.Equal(Status, (int)response.StatusCode);
        }

        public async Task<IReadOnlyList<FinishedSpan>> SpansAsync(SidecarHarness of, int count)
        {
            if (!_spans.TryGetValue(of, out var spans))
            {
                _spans[of] = spans = [];
            }

            var waiting = of.Services.GetRequiredService<SpanRecorder>().Waiting;
            await Mesh.Testing.Eventually.Async(
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

        public async ValueTask DisposeAsync()
        {
            await Pair.DisposeAsync();
            await _app.DisposeAsync();
        }
    }
}
