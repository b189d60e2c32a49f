using Grpc.Core;
using Grpc.Core.Interceptors;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.Export;
using Mesh.Spiffe;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>A report whose answer got lost comes again, and counts once.</summary>
public sealed class TakenReportsTests
{
    private static readonly SpiffeId Cart = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/cart");
    private readonly FakeTimeProvider _time = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void ANumber_IsTakenOnce_InItsRun()
    {
        var taken = new TakenReports(_time);

        Assert.True(taken.TryTake(Cart, Note("a", 1)));
        Assert.False(taken.TryTake(Cart, Note("a", 1)));
        Assert.True(taken.TryTake(Cart, Note("a", 3)));
        // It was on its way for long; what came after it says that it was given up or taken.
        Assert.False(taken.TryTake(Cart, Note("a", 2)));
        Assert.True(taken.TryTake(Cart, Note("b", 1)));
        Assert.True(taken.TryTake(SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/other"), Note("a", 1)));
        Assert.Equal(2, taken.Repeated);
    }

    [Fact]
    public void WhoSaysNoNumber_IsBelievedEachTime()
    {
        var taken = new TakenReports(_time);

        Assert.All(new[] { Note("a", 0), Note("a", 0), Note(string.Empty, 1), Note(string.Empty, 1) }, n => Assert.True(taken.TryTake(Cart, n)));
    }

    [Fact]
    public void Runs_AreBounded_AndThoseThatAreOverMakeRoom()
    {
        var taken = new TakenReports(_time);
        for (var i = 0; i < TakenReports.MaxRuns; i++)
        {
            taken.TryTake(Cart, Note($"{i}", 1));
        }

        Assert.True(taken.TryTake(Cart, Note("more", 1)));
        Assert.True(taken.TryTake(Cart, Note("more", 1)), "it found no place, and is believed each time");
        _time.Advance(TakenReports.Kept);
        Assert.False(taken.TryTake(Cart, Note("7", 1)));
        Assert.True(taken.TryTake(Cart, Note("more", 1)));
        Assert.False(taken.TryTake(Cart, Note("more", 1)));
        Assert.False(taken.TryTake(Cart, Note("7", 1)), "it reported lately");
    }

    [Fact]
    public async Task AnswersThatGetLost_CountNothingTwice_AndLoseNothing()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var certificate = await controlPlane.JoinAsync("shop", "cart");
        using var channel = controlPlane.TlsChannel(certificate);
        var lossy = new LossyAnswers();
        var aggregate = new MetricAggregate(_time);
        using var counters = new CounterTotals("none", time: _time);
        var exporter = new OtlpMetricsExporter(
            aggregate, OtlpRequest.Resource("cart", "shop", "cart~1~shop"), _ => new(channel.Intercept(lossy)), TimeSpan.FromSeconds(5), _time, NullLogger<OtlpMetricsExporter>.Instance, counters);
        exporter.Start();
        var recorded = 0;
        void Record(int route)
        {
            recorded++;
            aggregate.Get(
                MeshTags.ClientCallDuration,
                new(MeshTags.Source, "cart"), new(MeshTags.SourceNamespace, "shop"), new(MeshTags.Destination, "pricing"), new(MeshTags.DestinationNamespace, "shop"),
                new(MeshTags.Outcome, MeshTags.Success), new(MeshTags.Tls, "mesh"), new(MeshTags.Route, $"{route}")).Record(TimeSpan.FromMilliseconds(5));
        }

        // More than one message has room for, so that a loss falls between two.
        for (var i = 0; i < OtlpMetricsExporter.MaxSeriesPerMessage + 50; i++)
        {
            Record(i);
        }

        await Eventually.Async(
            () =>
            {
                // Only between messages, so that none takes longer than it may.
                if (lossy.Running == 0)
                {
                    Record(recorded % 7);
                    _time.Advance(TimeSpan.FromSeconds(1));
                }

                return lossy.Lost >= 6;
            },
            "answers to get lost",
            TimeSpan.FromSeconds(120));
        lossy.IsOver = true;
        await exporter.StopAsync(TimeSpan.FromSeconds(60));

        var golden = controlPlane.Services.GetRequiredService<IGoldenQueries>();
        var now = TimeProvider.System.GetUtcNow();
        var pair = Assert.Single((await golden.ReadAsync(new GoldenQuery(GoldenBy.Pair, now - TimeSpan.FromHours(1), now), Token)).Items);
        Assert.Equal(recorded, pair.Numbers.Requests);
        var repeated = controlPlane.Services.GetRequiredService<TakenReports>().Repeated;
        Assert.True(repeated >= lossy.Lost, $"{lossy.Lost} answers got lost, {repeated} reports came again.");
        using var api = controlPlane.Api();
        Assert.Contains($"mesh_controlplane_telemetry_repeated_total {repeated}\n", await api.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    private static ReportNote Note(string run, long number) => new(run, number, IsLast: false, null, null, CancellationToken.None);

    /// <summary>Every other answer does not reach the one who asked: the control plane has taken the report all the same.</summary>
    private sealed class LossyAnswers : Interceptor
    {
        private int _calls;
        private int _lost;
        private int _running;

        public int Lost => Volatile.Read(ref _lost);

        public int Running => Volatile.Read(ref _running);

        public bool IsOver { get; set; }

        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(TRequest request, ClientInterceptorContext<TRequest, TResponse> context, AsyncUnaryCallContinuation<TRequest, TResponse> continuation)
        {
            Interlocked.Increment(ref _running);
            var call = continuation(request, context);
            return new AsyncUnaryCall<TResponse>(AnswerAsync(call), call.ResponseHeadersAsync, call.GetStatus, call.GetTrailers, call.Dispose);
        }

        private async Task<T> AnswerAsync<T>(AsyncUnaryCall<T> call)
        {
            try
            {
                var answer = await call;
                if (IsOver || Interlocked.Increment(ref _calls) % 2 == 0)
                {
                    return answer;
                }

                Interlocked.Increment(ref _lost);
                throw new RpcException(new Status(StatusCode.DeadlineExceeded, "The answer came too late."));
            }
            finally
            {
                Interlocked.Decrement(ref _running);
            }
        }
    }
}
