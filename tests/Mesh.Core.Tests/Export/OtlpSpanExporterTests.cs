using System.Collections.Concurrent;
using System.Diagnostics;
using Grpc.Core;
using Mesh.Export;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Export;

public sealed class OtlpSpanExporterTests
{
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly FakeLogger<OtlpSpanExporter> _logger = new();
    private readonly Receiver _receiver = new();

    [Fact]
    public async Task Tick_SendsSpansWithTheWorkload()
    {
        using var recorder = Recorder();
        await using var exporter = Start(recorder);
        using var activity = new Activity("x").SetIdFormat(ActivityIdFormat.W3C);
        activity.SetParentId(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded);
        activity.TraceStateString = "vendor=1";
        activity.Start();
        activity.SetTag("http.response.status_code", 503).SetTag("mesh.peer", "spiffe://a").SetTag("customer.name", "Ann").SetTag("http.request.header.authorization", "secret")
            .SetTag("url.query", "card=1").SetTag("url.full", "http://x/y?card=1");
        activity.AddEvent(new ActivityEvent("retry", tags: new ActivityTagsCollection { [MeshTags.Reason] = "503" }));
        activity.AddEvent(new ActivityEvent("exception", tags: new ActivityTagsCollection { ["exception.stacktrace"] = "at Secret()" }));
        activity.Stop();
        recorder.Record(new FinishedSpan(activity, "GET /y", ActivityKind.Client, activity.StartTimeUtc, TimeSpan.FromMilliseconds(12.5), Failed: true, [new("url.path", "/y")]));

        await TickUntilAsync(() => !_receiver.Spans.IsEmpty);

        var (resource, span) = Assert.Single(_receiver.Spans);
        Assert.Equal(["service.name=cart", "service.namespace=shop", "service.instance.id=cart~1~shop"], resource.Attributes.Select(a => $"{a.Key}={a.Value.StringValue}"));
        Assert.Equal(
            (activity.TraceId.ToHexString(), activity.SpanId.ToHexString(), activity.ParentSpanId.ToHexString(), "vendor=1", 1u),
            (Convert.ToHexStringLower(span.TraceId.Span), Convert.ToHexStringLower(span.SpanId.Span), Convert.ToHexStringLower(span.ParentSpanId.Span), span.TraceState, span.Flags));
        Assert.Equal(("GET /y", Span.Types.SpanKind.Client, SpanStatus.Types.StatusCode.Error, 12_500_000UL), (span.Name, span.Kind, span.Status.Code, span.EndTimeUnixNano - span.StartTimeUnixNano));
        Assert.Equal(
            ["http.response.status_code=503", "mesh.peer=spiffe://a", "url.full=http://x/y", "url.path=/y"],
            span.Attributes.Select(a => $"{a.Key}={(a.Value.ValueCase == AnyValue.ValueOneofCase.IntValue ? a.Value.IntValue.ToString(System.Globalization.CultureInfo.InvariantCulture) : a.Value.StringValue)}").Order());
        Assert.Equal("retry", Assert.Single(span.Events).Name);
    }

    [Fact]
    public async Task Outage_KeepsTheLatestAndSaysItOnce()
    {
        using var recorder = Recorder();
        _receiver.Refuses = StatusCode.Unavailable;
        await using var exporter = Start(recorder);
        Record(recorder, 3);
        await TickUntilAsync(() => _receiver.Asked >= 3);

        _receiver.Refuses = null;
        await TickUntilAsync(() => _receiver.Spans.Count == 3);

        Assert.Equal(["0", "1", "2"], _receiver.Spans.Select(s => s.Span.Name));
        Assert.Equal([3210, 3211], _logger.Collector.GetSnapshot().Select(l => l.Id.Id));
        Assert.Equal(0, recorder.Dropped);
    }

    [Fact]
    public async Task ControlPlaneThatTakesNone_CostsTheSpansAndALine()
    {
        using var recorder = Recorder();
        _receiver.Refuses = StatusCode.Unimplemented;
        await using var exporter = Start(recorder);
        Record(recorder, 3);

        await TickUntilAsync(() => recorder.Dropped == 3);
        Record(recorder, 2);
        await TickUntilAsync(() => recorder.Dropped == 5);

        Assert.Equal([3213], _logger.Collector.GetSnapshot().Select(l => l.Id.Id));
    }

    [Fact]
    public async Task ManySpans_GoInBatches()
    {
        using var recorder = Recorder();
        await using var exporter = Start(recorder);
        Record(recorder, OtlpSpanExporter.MaxBatch + 7);

        await TickUntilAsync(() => _receiver.Spans.Count == OtlpSpanExporter.MaxBatch + 7);

        Assert.Equal(2, _receiver.Asked);
    }

    [Fact]
    public async Task Stop_SendsWhatIsLeft()
    {
        using var recorder = Recorder();
        var exporter = Start(recorder);
        Record(recorder, 2);

        await exporter.DisposeAsync();

        Assert.Equal(2, _receiver.Spans.Count);
    }

    private SpanRecorder Recorder() => new(new TraceSettings(1, true, TimeSpan.Zero), _time, new Random(1));

    private static void Record(SpanRecorder recorder, int count)
    {
        for (var i = 0; i < count; i++)
        {
            recorder.Record(new FinishedSpan(new Activity("x"), $"{i}", ActivityKind.Server, DateTime.UnixEpoch, TimeSpan.Zero, false));
        }
    }

    private OtlpSpanExporter Start(SpanRecorder recorder)
    {
        var exporter = new OtlpSpanExporter(recorder, OtlpRequest.Resource("cart", "shop", "cart~1~shop"), _ => new(_receiver), _time, new Random(1), _logger);
        exporter.Start();
        return exporter;
    }

    private Task TickUntilAsync(Func<bool> condition) => Eventually.Async(
        () =>
        {
            _time.Advance(OtlpSpanExporter.Interval);
            return condition();
        },
        "spans are sent");

    /// <summary>The control plane's end.</summary>
    private sealed class Receiver : CallInvoker
    {
        private int _asked;

        public StatusCode? Refuses { get; set; }

        public int Asked => Volatile.Read(ref _asked);

        public ConcurrentQueue<(Resource Resource, Span Span)> Spans { get; } = [];

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        {
            var answer = Task.FromResult((TResponse)(object)new ExportTraceServiceResponse());
            if (Refuses is { } status)
            {
                answer = Task.FromException<TResponse>(new RpcException(new Status(status, "no")));
            }
            else
            {
                foreach (var resource in ((ExportTraceServiceRequest)(object)request).ResourceSpans)
                {
                    foreach (var span in resource.ScopeSpans.SelectMany(s => s.Spans))
                    {
                        Spans.Enqueue((resource.Resource, span));
                    }
                }
            }

            Interlocked.Increment(ref _asked);
            return new AsyncUnaryCall<TResponse>(answer, Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            throw new NotSupportedException();

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) =>
            throw new NotSupportedException();
    }
}
