using System.Collections.Concurrent;
using Google.Protobuf;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Protos.Otlp;
using Mesh.Protos.Rpc;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

public sealed class ForwardingTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger<OtlpForwarder> _logger = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Take_WhileTheCollectorIsAway_IsSentWhenItIsBack()
    {
        using var collector = new Collector { Answer = _ => new(OtlpVerdict.Later, "it is away") };
        await using var forwarder = Forwarder(collector);
        forwarder.Take(OtlpSignal.Traces, Request("a"));
        await Eventually.Async(() => collector.Asked == 1, "a first try");

        collector.Answer = _ => default;
        await AdvanceUntilAsync(() => forwarder.Sent(OtlpSignal.Traces) == 1);

        Assert.Equal(["a"], collector.Names(OtlpSignal.Traces));
        Assert.Equal(0, forwarder.Dropped(OtlpSignal.Traces));
        Assert.Equal([LogLevel.Warning, LogLevel.Information], _logger.Collector.GetSnapshot().Select(l => l.Level));
    }

    [Fact]
    public async Task Take_WhatWaits_GoesAsOneMessageWithEachResource()
    {
        using var collector = new Collector { Answer = _ => new(OtlpVerdict.Later, "it is away") };
        await using var forwarder = Forwarder(collector);
        forwarder.Take(OtlpSignal.Traces, Request("a"));
        await Eventually.Async(() => collector.Asked == 1, "a first try");
        forwarder.Take(OtlpSignal.Traces, Request("b"));
        forwarder.Take(OtlpSignal.Traces, Request("c"));
        forwarder.Take(OtlpSignal.Metrics, new ExportMetricsServiceRequest { ResourceMetrics = { new ResourceMetrics() } });

        collector.Answer = _ => default;
        await AdvanceUntilAsync(() => forwarder.Sent(OtlpSignal.Metrics) == 1);

        Assert.Equal(["a", "b c"], collector.Taken.Where(t => t.Signal == OtlpSignal.Traces).Select(t => string.Join(' ', Collector.NamesIn(t.Message))));
        Assert.Equal(3, forwarder.Sent(OtlpSignal.Traces));
        Assert.Equal(0, forwarder.WaitingBytes);
    }

    [Fact]
    public async Task Take_WhatTheCollectorWillNeverTake_IsDroppedAndCounted()
    {
        using var collector = new Collector { Answer = _ => new(OtlpVerdict.Refused, "it answered 400") };
        await using var forwarder = Forwarder(collector);

        forwarder.Take(OtlpSignal.Traces, Request("a"));

        await Eventually.Async(() => forwarder.Dropped(OtlpSignal.Traces) == 1, "it is dropped");
        Assert.Equal(0, forwarder.Sent(OtlpSignal.Traces));
    }

    [Fact]
    public async Task Take_MoreThanFits_DropsTheOldest()
    {
        using var collector = new Collector { Answer = _ => new(OtlpVerdict.Later, "it is away") };
        await using var forwarder = Forwarder(collector);
        forwarder.Take(OtlpSignal.Traces, Request("first"));
        await Eventually.Async(() => collector.Asked == 1, "a first try");
        var big = new string('x', 4 * 1024 * 1024);
        for (var i = 0; i < 10; i++)
        {
            forwarder.Take(OtlpSignal.Traces, Request($"{i}{big}"));
        }

        Assert.InRange(forwarder.WaitingBytes, 1, OtlpForwarder.MaxWaitingBytes);
        Assert.Equal(3, forwarder.Dropped(OtlpSignal.Traces));
        collector.Answer = _ => default;
        await AdvanceUntilAsync(() => forwarder.Sent(OtlpSignal.Traces) == 8);
        Assert.Equal("f3456789", string.Concat(collector.Names(OtlpSignal.Traces).Select(n => n[0])));
    }

    [Fact]
    public async Task Dispose_SendsWhatWaits()
    {
        using var collector = new Collector { Answer = _ => new(OtlpVerdict.Later, "it is away") };
        var forwarder = Forwarder(collector);
        forwarder.Take(OtlpSignal.Traces, Request("a"));
        await Eventually.Async(() => collector.Asked == 1, "a first try");
        collector.Answer = _ => default;

        await forwarder.DisposeAsync();

        Assert.Equal(["a"], collector.Names(OtlpSignal.Traces));
    }

    [Theory]
    [InlineData(200, nameof(OtlpVerdict.Taken))]
    [InlineData(429, nameof(OtlpVerdict.Later))]
    [InlineData(503, nameof(OtlpVerdict.Later))]
    [InlineData(400, nameof(OtlpVerdict.Refused))]
    [InlineData(401, nameof(OtlpVerdict.Never))]
    [InlineData(408, nameof(OtlpVerdict.Never))]
    public async Task Http_StatusSaysWhetherToTryAgain(int status, string verdict)
    {
        var asked = new ConcurrentQueue<(string Path, string? Type, string? Key, byte[] Body)>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var app = builder.Build();
        app.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            asked.Enqueue((context.Request.Path, context.Request.ContentType, context.Request.Headers["api-key"], body.ToArray()));
            context.Response.StatusCode = status;
            context.Response.ContentType = "application/x-protobuf";
            context.Response.Headers.RetryAfter = "42";
            await context.Response.Body.WriteAsync(status == 200 ? Array.Empty<byte>() : new Status { Message = "for a reason" }.ToByteArray(), context.RequestAborted);
        });
        await app.StartAsync(Token);
        using var target = OtlpTarget.Create(new Uri($"{app.Urls.First()}/otlp/"), OtlpProtocol.Auto, [new("api-key", "k")], TimeProvider.System);
        var message = Request("a").ToByteArray();

        var answer = await target.SendAsync(OtlpSignal.Traces, message, Token);
        await target.SendAsync(OtlpSignal.Metrics, message, Token);

        Assert.Equal(verdict, answer.Verdict.ToString());
        Assert.Equal(status == 200 ? (null, null) : ($"it answered {status}: for a reason", (TimeSpan?)TimeSpan.FromSeconds(42)), (answer.Problem, answer.RetryAfter));
        Assert.Equal(["/otlp/v1/traces", "/otlp/v1/metrics"], asked.Select(a => a.Path));
        Assert.All(asked, a => Assert.Equal(("application/x-protobuf", "k"), (a.Type, a.Key)));
        Assert.All(asked, a => Assert.Equal(message, a.Body));
    }

    [Theory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    public async Task Target_NobodyListens_MayBeTriedAgain(string protocol)
    {
        using var target = OtlpTarget.Create(new Uri($"http://127.0.0.1:{FreePort.Next()}"), protocol == "grpc" ? OtlpProtocol.Grpc : OtlpProtocol.HttpProtobuf, [], TimeProvider.System);

        var answer = await target.SendAsync(OtlpSignal.Traces, Request("a").ToByteArray(), Token);

        Assert.NotNull(answer.Problem);
        Assert.Equal(OtlpVerdict.Later, answer.Verdict);
    }

    [Fact]
    public async Task ControlPlane_GivesOnWhatIsAllItsSenders_AndNothingElse()
    {
        await using var collector = await TestControlPlane.StartAsync();
        // Its HTTP port answers 404 to a collector's paths: what is given on is counted as dropped, which shows that it was.
        await using var controlPlane = await TestControlPlane.StartAsync(configure: o => (o.Otlp, o.OtlpProtocol) = (collector.Addresses.Http, OtlpProtocol.HttpProtobuf));
        using var certificate = await controlPlane.JoinAsync("shop", "storefront");
        using var channel = controlPlane.TlsChannel(certificate);
        var client = new TraceService.TraceServiceClient(channel);

        var forged = await client.ExportAsync(TraceServiceTests.Request("bank", TraceServiceTests.Span()), cancellationToken: Token);
        await client.ExportAsync(TraceServiceTests.Request("shop", TraceServiceTests.Span()), cancellationToken: Token);

        Assert.Equal(1, forged.PartialSuccess.RejectedSpans);
        var forwarder = controlPlane.Services.GetRequiredService<OtlpForwarder>();
        await Eventually.Async(() => forwarder.Dropped(OtlpSignal.Traces) == 1, "one message was given on");
        using var api = controlPlane.Api();
        Assert.Contains("mesh_controlplane_otlp_messages_dropped_total{signal=\"traces\"} 1", await api.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ftp://x", null, "no address of a collector")]
    [InlineData("http://user:pw@x", null, "no address of a collector")]
    [InlineData(null, "a=b", "go with --otlp")]
    [InlineData("http://x:4317", "a", "can't be read")]
    [InlineData("http://x:4317", "bad name=1", "can't be read")]
    [InlineData("http://x:4317", "a=%0d%0ab", "can't be read")]
    public void Settings_Wrong_AreNamedWithoutTheirValues(string? otlp, string? headers, string problem)
    {
        var all = new MeshControlPlaneOptions { Otlp = otlp, OtlpHeaders = headers }.Validate();

        Assert.Contains(all, p => p.Contains(problem, StringComparison.Ordinal));
        Assert.DoesNotContain(all, p => headers is not null && p.Contains(headers, StringComparison.Ordinal) && headers != "a=b" && headers != "a");
    }

    [Fact]
    public void CommandLine_ReadsTheCollector()
    {
        var options = CommandLine.Parse(["--config", "x", "--otlp", "http://c:4318", "--otlp-protocol", "http/protobuf", "--otlp-headers", "api-key=a%20b, x-team=shop"], out _)!;

        Assert.Equal(("http://c:4318", OtlpProtocol.HttpProtobuf), (options.Otlp, options.OtlpProtocol));
        Assert.Equal([new("api-key", "a b"), new("x-team", "shop")], options.ParsedOtlpHeaders!);
        Assert.Null(CommandLine.Parse(["--config", "x", "--otlp-protocol", "thrift"], out var problems));
        Assert.Contains("grpc or http/protobuf", Assert.Single(problems), StringComparison.Ordinal);
    }

    private OtlpForwarder Forwarder(OtlpTarget target) => new(target, "http://collector", _time, new Random(1), _logger);

    private Task AdvanceUntilAsync(Func<bool> condition) => Eventually.Async(
        () =>
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return condition();
        },
        "it is sent");

    private static ExportTraceServiceRequest Request(string name)
    {
        var resource = new ResourceSpans { Resource = new Resource() };
        resource.Resource.Attributes.Add(new KeyValue { Key = "service.name", Value = new AnyValue { StringValue = name } });
        return new ExportTraceServiceRequest { ResourceSpans = { resource } };
    }

    /// <summary>Takes or refuses as it is told.</summary>
    private sealed class Collector : OtlpTarget
    {
        private int _asked;

        public required Func<OtlpSignal, OtlpAnswer> Answer { get; set; }

        public int Asked => Volatile.Read(ref _asked);

        public ConcurrentQueue<(OtlpSignal Signal, byte[] Message)> Taken { get; } = [];

        public static IEnumerable<string> NamesIn(byte[] message) => ExportTraceServiceRequest.Parser.ParseFrom(message).ResourceSpans.Select(r => r.Resource.Attributes[0].Value.StringValue);

        public IEnumerable<string> Names(OtlpSignal signal) => Taken.Where(t => t.Signal == signal).SelectMany(t => NamesIn(t.Message));

        public override Task<OtlpAnswer> SendAsync(OtlpSignal signal, byte[] message, CancellationToken cancellationToken)
        {
            var answer = Answer(signal);
            if (answer.Verdict == OtlpVerdict.Taken)
            {
                Taken.Enqueue((signal, message));
            }

            Interlocked.Increment(ref _asked);
            return Task.FromResult(answer);
        }

        public override void Dispose()
        {
        }
    }
}
