using System.Collections.Concurrent;
using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.ControlPlane.Telemetry;
using Mesh.Protos.Otlp;
using Mesh.Protos.Rpc;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;
using RpcStatus = Mesh.Protos.Rpc.Status;
using Status = Grpc.Core.Status;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>What is given on to a collector that takes part of it, or refuses it, over real gRPC.</summary>
public sealed class OtlpCollectorTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger<OtlpForwarder> _logger = new();
    private readonly ConcurrentQueue<(string[] Names, DateTimeOffset At)> _asked = [];
    private Func<string[], ServerCallContext, ExportMetricsServiceResponse> _answer = (_, _) => new();
    private WebApplication? _app;
    private WatchedTarget? _target;

    public async ValueTask DisposeAsync()
    {
        if (_app is { } app)
        {
            await app.DisposeAsync();
        }
    }

    [Fact]
    public async Task PartialSuccess_IsCountedAndTold_AndNothingIsSentAgain()
    {
        _answer = (_, _) => new() { PartialSuccess = new() { RejectedDataPoints = 2, ErrorMessage = "points of 1970" } };
        await using var forwarder = await ForwarderAsync();

        forwarder.Take(OtlpSignal.Metrics, Request("a"));
        await Eventually.Async(() => forwarder.Sent(OtlpSignal.Metrics) == 1, "it is taken");
        forwarder.Take(OtlpSignal.Metrics, Request("b"));
        await Eventually.Async(() => forwarder.Sent(OtlpSignal.Metrics) == 2, "the next one too");
        _time.Advance(TimeSpan.FromMinutes(2));
        forwarder.Take(OtlpSignal.Metrics, Request("c"));
        await Eventually.Async(() => forwarder.Sent(OtlpSignal.Metrics) == 3, "and one later");

        Assert.Equal(["a", "b", "c"], _asked.SelectMany(a => a.Names));
        Assert.Equal((6L, 0L, 0L), (forwarder.Rejected(OtlpSignal.Metrics), forwarder.Dropped(OtlpSignal.Metrics), forwarder.Retried(OtlpSignal.Metrics)));
        // At once, and then once a minute what came since.
        Assert.Equal(["2", "4"], _logger.Collector.GetSnapshot().Where(l => l.Id.Id == 4716).Select(l => l.GetStructuredStateValue("Rejected")));
        Assert.All(_logger.Collector.GetSnapshot(), l => Assert.Contains("points of 1970", l.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task OneMessageRefused_CostsNoOther_AndWhenToComeBackIsHeeded()
    {
        _answer = (_, _) => throw Unavailable(TimeSpan.FromSeconds(100));
        await using var forwarder = await ForwarderAsync();
        forwarder.Take(OtlpSignal.Metrics, Request("first"));
        await Eventually.Async(() => _asked.Count == 1, "a first try");
        foreach (var name in new[] { "a", "b", "bad", "c", "d", "e" })
        {
            forwarder.Take(OtlpSignal.Metrics, Request(name));
        }

        _answer = (names, _) => names.Contains("bad") ? throw new RpcException(new Status(StatusCode.InvalidArgument, "it is bad")) : new();
        await Eventually.Async(
            () =>
            {
                // Not while it waits for an answer, which may take only so long.
                _time.Advance(_target!.IsAsking ? TimeSpan.Zero : TimeSpan.FromSeconds(1));
                return forwarder.Dropped(OtlpSignal.Metrics) + forwarder.Sent(OtlpSignal.Metrics) == 7;
            },
            "all is taken or dropped",
            TimeSpan.FromSeconds(60));

        var asked = _asked.ToArray();
        Assert.True(asked[1].At - asked[0].At >= TimeSpan.FromSeconds(100), $"It was asked again after {asked[1].At - asked[0].At}.");
        Assert.Equal(["first", "a", "b", "c", "d", "e"], asked.Skip(1).Where(a => !a.Names.Contains("bad")).SelectMany(a => a.Names));
        Assert.Equal(["bad"], asked.Last(a => a.Names.Contains("bad")).Names);
        Assert.Equal((6L, 1L, 1L), (forwarder.Sent(OtlpSignal.Metrics), forwarder.Dropped(OtlpSignal.Metrics), forwarder.Retried(OtlpSignal.Metrics)));
    }

    [Theory]
    [InlineData(StatusCode.DeadlineExceeded, nameof(OtlpVerdict.Later))]
    [InlineData(StatusCode.DataLoss, nameof(OtlpVerdict.Later))]
    [InlineData(StatusCode.ResourceExhausted, nameof(OtlpVerdict.Refused))]
    [InlineData(StatusCode.InvalidArgument, nameof(OtlpVerdict.Refused))]
    [InlineData(StatusCode.Internal, nameof(OtlpVerdict.Never))]
    [InlineData(StatusCode.Unauthenticated, nameof(OtlpVerdict.Never))]
    [InlineData(StatusCode.Unimplemented, nameof(OtlpVerdict.Never))]
    public void Code_SaysWhatToDo(StatusCode code, string verdict) =>
        Assert.Equal(verdict, OtlpAnswer.Of(new RpcException(new Status(code, "x"))).Verdict.ToString());

    [Fact]
    public void Exhausted_ThatSaysWhenToComeBack_MayBeSentAgain()
    {
        var answer = OtlpAnswer.Of(Unavailable(TimeSpan.FromSeconds(3), StatusCode.ResourceExhausted));

        Assert.Equal((OtlpVerdict.Later, TimeSpan.FromSeconds(3)), (answer.Verdict, answer.RetryAfter));
        // What can't be read is no reason to end.
        var broken = new RpcException(new Status(StatusCode.Unavailable, "x"), new Metadata { { "grpc-status-details-bin", [0xff, 0xff] } });
        Assert.Equal((OtlpVerdict.Later, null), (OtlpAnswer.Of(broken).Verdict, OtlpAnswer.Of(broken).RetryAfter));
    }

    private static RpcException Unavailable(TimeSpan delay, StatusCode code = StatusCode.Unavailable)
    {
        var info = new RetryInfo { RetryDelay = Duration.FromTimeSpan(delay) };
        var details = new RpcStatus { Code = (int)code, Details = { new Any { TypeUrl = "type.googleapis.com/google.rpc.RetryInfo", Value = info.ToByteString() } } };
        return new RpcException(new Status(code, "too much"), new Metadata { { "grpc-status-details-bin", details.ToByteArray() } });
    }

    private async Task<OtlpForwarder> ForwarderAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(this);
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.Protocols = HttpProtocols.Http2));
        _app = builder.Build();
        _app.MapGrpcService<Collector>();
        await _app.StartAsync(TestContext.Current.CancellationToken);
        _target = new WatchedTarget(OtlpTarget.Create(new Uri(_app.Urls.Single()), OtlpProtocol.Grpc, [], _time));
        return new OtlpForwarder(_target, "http://collector", _time, new Random(1), _logger);
    }

    private static ExportMetricsServiceRequest Request(string name) =>
        new() { ResourceMetrics = { new ResourceMetrics { Resource = new Resource { Attributes = { new KeyValue { Key = "service.name", Value = new AnyValue { StringValue = name } } } } } } };

    private sealed class WatchedTarget(OtlpTarget inner) : OtlpTarget
    {
        private int _asking;

        public bool IsAsking => Volatile.Read(ref _asking) > 0;

        public override async Task<OtlpAnswer> SendAsync(OtlpSignal signal, byte[] message, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _asking);
            try
            {
                return await inner.SendAsync(signal, message, cancellationToken);
            }
            finally
            {
                Interlocked.Decrement(ref _asking);
            }
        }

        public override void Dispose() => inner.Dispose();
    }

    internal sealed class Collector(OtlpCollectorTests test) : MetricsService.MetricsServiceBase
    {
        public override Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context)
        {
            string[] names = [.. request.ResourceMetrics.Select(r => r.Resource.Attributes[0].Value.StringValue)];
            var answer = test._answer;
            test._asked.Enqueue((names, test._time.GetUtcNow()));
            return Task.FromResult(answer(names, context));
        }
    }
}
