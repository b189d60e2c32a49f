using Grpc.Net.Client;
using Mesh.Export;
using Mesh.Identity;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Export;

public sealed class OtlpMetricsExporterTests : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly TestCa _ca = new("cluster.local");
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly MetricAggregate _aggregate = new();
    private readonly FakeLogger<OtlpMetricsExporter> _logger = new();
    private GrpcChannel? _channel;

    public ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        _ca.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Tick_SendsDeltaHistogramsInSeconds()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        await using var exporter = Start(authority);
        var series = _aggregate.Get(MeshTags.ServerCallDuration, new KeyValuePair<string, string>(MeshTags.Source, "web"));
        series.Durations.Record(TimeSpan.FromSeconds(1.5));
        series.Durations.Record(TimeSpan.FromSeconds(1.5));
        series.Durations.Record(TimeSpan.FromMilliseconds(10));

        _time.Advance(Interval);
        await Eventually.Async(() => Points(authority).Count == 1, "one point arrived");

        var (resource, metric, point) = Points(authority)[0];
        Assert.Equal(["service.name=cart", "service.namespace=shop", "service.instance.id=cart~1~shop"], resource.Attributes.Select(a => $"{a.Key}={a.Value.StringValue}"));
        Assert.Equal((MeshTags.ServerCallDuration, "s"), (metric.Name, metric.Unit));
        Assert.Equal(AggregationTemporality.Delta, metric.ExponentialHistogram.AggregationTemporality);
        Assert.Equal((4, 3UL, 3.01), (point.Scale, point.Count, point.Sum));
        Assert.Equal("web", point.Attributes.Single(a => a.Key == MeshTags.Source).Value.StringValue);
        // 1.5 s lies in (2^(9/16), 2^(10/16)], 10 ms in (2^(-107/16), 2^(-106/16)].
        Assert.Equal(-107, point.Positive.Offset);
        Assert.Equal(9 + 107 + 1, point.Positive.BucketCounts.Count);
        Assert.Equal((1UL, 2UL), (point.Positive.BucketCounts[0], point.Positive.BucketCounts[^1]));
        Assert.Equal(Interval.Ticks * 100, (long)(point.TimeUnixNano - point.StartTimeUnixNano));
    }

    [Fact]
    public async Task Hurry_SendsEachSecond_ForSoLong_ThenAsBefore()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        await using var exporter = Start(authority);
        var series = _aggregate.Get("m");

        exporter.Hurry(TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3));
        // Longer than it is set is no hurry.
        exporter.Hurry(TimeSpan.FromSeconds(60), TimeSpan.FromSeconds(600));
        for (var second = 1; second <= 3; second++)
        {
            series.Durations.Record(TimeSpan.FromSeconds(1));
            _time.Advance(TimeSpan.FromSeconds(1));
            await Eventually.Async(() => Points(authority).Count == second, $"message {second} arrived");
        }

        await Eventually.Async(
            () =>
            {
                // Back at its own pace, seconds pass without a message; how many ticks it took to see that is a matter of threads.
                series.Durations.Record(TimeSpan.FromSeconds(1));
                var before = Points(authority).Count;
                _time.Advance(TimeSpan.FromSeconds(1));
                return Points(authority).Count == before && exporter.IsCalm;
            },
            "it reports as before");
    }

    [Fact]
    public async Task Outage_LosesNothing()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.RefuseExports = true;
        await using var exporter = Start(authority);
        var series = _aggregate.Get("m");
        for (var i = 1; i <= 5; i++)
        {
            series.Durations.Record(TimeSpan.FromSeconds(1));
            await TickAsync();
        }

        Assert.Empty(Points(authority));
        authority.RefuseExports = false;
        await Eventually.Async(() => Counts().Sum() == 5 || Tick(), "all that was kept arrived");

        // What was tried first goes as it was, for it may have been taken.
        Assert.Equal(1, Counts().First());
        IEnumerable<int> Counts() => Points(authority).Select(p => (int)p.Point.Count);
        Assert.Single(_logger.Collector.GetSnapshot(), l => l.Id.Id == 3200);
    }

    [Fact]
    public async Task Outage_LongerThanTenMinutes_DropsAndSaysSo()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        authority.RefuseExports = true;
        await using var exporter = Start(authority);
        _aggregate.Get("m").Durations.Record(TimeSpan.FromSeconds(1));
        await TickAsync();

        _time.Advance(OtlpMetricsExporter.LongestKept);
        await Eventually.Async(() => _logger.Collector.GetSnapshot().Any(l => l.Id.Id == 3202) || Tick(), "the drop is said");
    }

    [Fact]
    public async Task Stop_SendsWhatIsLeft()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        var exporter = Start(authority);
        _aggregate.Get("m").Durations.Record(TimeSpan.FromSeconds(1));

        await exporter.StopAsync(TimeSpan.FromSeconds(2));

        Assert.Single(Points(authority));
    }

    [Fact]
    public async Task Stop_ControlPlaneSilent_IsBounded()
    {
        var exporter = new OtlpMetricsExporter(
            _aggregate, OtlpRequest.Resource("cart", "shop", "cart~1~shop"), async ct =>
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, _time, ct);
                throw new InvalidOperationException();
            },
            Interval, _time, _logger);
        exporter.Start();
        _aggregate.Get("m").Durations.Record(TimeSpan.FromSeconds(1));

        var stopping = exporter.StopAsync(TimeSpan.FromSeconds(2));
        await Eventually.Async(() => stopping.IsCompleted || Tick(), "the flush gave up");
        await stopping;
    }

    [Fact]
    public async Task ManySeries_GoInSeveralMessages()
    {
        await using var authority = await FakeAuthority.StartAsync(_ca);
        var exporter = Start(authority);
        for (var i = 0; i < OtlpMetricsExporter.MaxSeriesPerMessage + 1; i++)
        {
            _aggregate.Get("m", new KeyValuePair<string, string>("k", $"{i}")).Durations.Record(TimeSpan.FromSeconds(1));
        }

        await exporter.StopAsync(TimeSpan.FromSeconds(10));

        Assert.Equal(2, authority.Exports.Count);
        Assert.Equal(OtlpMetricsExporter.MaxSeriesPerMessage + 1, Points(authority).Count);
    }

    private OtlpMetricsExporter Start(FakeAuthority authority)
    {
        _channel = GrpcChannel.ForAddress(authority.Address, new GrpcChannelOptions { HttpHandler = new ControlPlaneDialer(() => _ca.Bundle).CreateHandler(() => null), DisposeHttpClient = true });
        var invoker = _channel.CreateCallInvoker();
        var exporter = new OtlpMetricsExporter(_aggregate, OtlpRequest.Resource("cart", "shop", "cart~1~shop"), _ => new(invoker), Interval, _time, _logger);
        exporter.Start();
        return exporter;
    }

    private bool Tick()
    {
        _time.Advance(TimeSpan.FromSeconds(1));
        return false;
    }

    /// <summary>Advances until a new failure or success was worked off.</summary>
    private async Task TickAsync()
    {
        _time.Advance(Interval);
        await Eventually.Async(() => _logger.Collector.GetSnapshot().Any(l => l.Id.Id == 3200), "the outage is seen");
    }

    private static List<(Resource Resource, Metric Metric, ExponentialHistogramDataPoint Point)> Points(FakeAuthority authority)
    {
        lock (authority.Exports)
        {
            return [.. from e in authority.Exports
                       from r in e.ResourceMetrics
                       from m in r.ScopeMetrics.Single().Metrics
                       where m.ExponentialHistogram is not null
                       from p in m.ExponentialHistogram.DataPoints
                       select (r.Resource, m, p)];
        }
    }
}
