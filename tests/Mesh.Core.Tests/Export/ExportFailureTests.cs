using System.Diagnostics;
using System.Diagnostics.Metrics;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Export;
using Mesh.Identity;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Export;

/// <summary>Counters and gauges on their way, and a control plane that takes nothing: whoever records never notices.</summary>
public sealed class ExportFailureTests : IAsyncLifetime
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly TestCa _ca = new("cluster.local");
    private readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly FakeLogger<OtlpMetricsExporter> _logger = new();
    private readonly MetricAggregate _aggregate;
    private readonly CounterTotals _counters;
    private readonly Meter _meter;
    private FakeAuthority _authority = null!;
    private GrpcChannel _channel = null!;
    private OtlpMetricsExporter _exporter = null!;

    public ExportFailureTests()
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        (_aggregate, _counters, _meter) = (new MetricAggregate(_time), new CounterTotals(meters: meters, time: _time), meters.Create(new MeterOptions(CounterTotals.MeterName)));
    }

    public async ValueTask InitializeAsync()
    {
        _authority = await FakeAuthority.StartAsync(_ca);
        _channel = GrpcChannel.ForAddress(_authority.Address, new GrpcChannelOptions { HttpHandler = new ControlPlaneDialer(() => _ca.Bundle).CreateHandler(() => null), DisposeHttpClient = true });
        var invoker = _channel.CreateCallInvoker();
        _exporter = new OtlpMetricsExporter(_aggregate, OtlpRequest.Resource("cart", "shop", "cart~1~shop"), _ => new(invoker), Interval, _time, _logger, _counters);
        _exporter.Start();
    }

    public async ValueTask DisposeAsync()
    {
        // The flush waits by a clock that stands still.
        var stopping = _exporter.StopAsync(TimeSpan.FromSeconds(1));
        await Eventually.Async(() => stopping.IsCompleted || Tick(), "the exporter ended");
        await stopping;
        _channel.Dispose();
        await _authority.DisposeAsync();
        _counters.Dispose();
        await _services.DisposeAsync();
        _ca.Dispose();
    }

    [Fact]
    public async Task Tick_SendsCountersAsDeltaSumsAndGaugesAsTheyAre()
    {
        var counter = _meter.CreateCounter<long>("mesh.client.decisions", "{decision}");
        _meter.CreateObservableGauge("mesh.endpoint.ewma", () => new Measurement<double>(0.25, new KeyValuePair<string, object?>(MeshTags.Endpoint, "127.0.0.1:80")), "s");
        counter.Add(2, new KeyValuePair<string, object?>(MeshTags.Reason, "503"));
        // One step each: an export that the clock overtakes is sent again.
        _time.Advance(Interval);
        await Eventually.Async(() => Metric("mesh.client.decisions").Count > 0 && _exporter.Waiting == 0, "the first export came");

        var first = Assert.Single(Metric("mesh.client.decisions"));
        Assert.Equal((AggregationTemporality.Delta, true, "{decision}"), (first.Sum.AggregationTemporality, first.Sum.IsMonotonic, first.Unit));
        var point = Assert.Single(first.Sum.DataPoints);
        Assert.Equal((2, "503"), (point.AsInt, point.Attributes.Single(a => a.Key == MeshTags.Reason).Value.StringValue));
        Assert.True(point.StartTimeUnixNano < point.TimeUnixNano);
        var gauge = Metric("mesh.endpoint.ewma")[0].Gauge.DataPoints.Single();
        Assert.Equal((0.25, "127.0.0.1:80"), (gauge.AsDouble, gauge.Attributes.Single().Value.StringValue));

        counter.Add(3, new KeyValuePair<string, object?>(MeshTags.Reason, "503"));
        _time.Advance(Interval);
        await Eventually.Async(() => Metric("mesh.client.decisions").Count > 1, "the second export came");
        var second = Metric("mesh.client.decisions")[1].Sum.DataPoints.Single();
        Assert.Equal((3, point.TimeUnixNano), (second.AsInt, second.StartTimeUnixNano));
    }

    [Fact]
    public async Task Tick_SendsTheLatestTraceOfEachSeries()
    {
        using var span = new Activity("call") { ActivityTraceFlags = ActivityTraceFlags.Recorded };
        span.SetIdFormat(ActivityIdFormat.W3C).SetParentId(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded).Start();
        _aggregate.Get("m").Record(TimeSpan.FromSeconds(2), span);
        await ExportedAsync(() => Metric("m").Count > 0);

        var exemplar = Assert.Single(Metric("m")[0].ExponentialHistogram.DataPoints.Single().Exemplars);
        Assert.Equal((span.TraceId.ToHexString(), 2.0), (Convert.ToHexStringLower(exemplar.TraceId.Span), exemplar.AsDouble));
        Assert.Equal(span.SpanId.ToHexString(), Convert.ToHexStringLower(exemplar.SpanId.Span));
    }

    [Fact]
    public async Task ControlPlane_Hangs_NobodyWaitsAndOneExportIsOnItsWay()
    {
        _authority.HangExports = true;
        var (series, counter) = (_aggregate.Get("m"), _meter.CreateCounter<long>("c"));
        counter.Add(1);
        _time.Advance(Interval);
        await Eventually.Async(() => _authority.ExportCalls == 1, "the first export came");
        for (var i = 0; i < 50; i++)
        {
            series.Record(TimeSpan.FromMilliseconds(1));
            counter.Add(1);
            _time.Advance(TimeSpan.FromMilliseconds(90));
        }

        // Its deadline is not over: no second one was begun beside it.
        Assert.Equal(1, _authority.ExportCalls);
        _authority.HangExports = false;
        await ExportedAsync(() => Total("c") == 51 && Count("m") == 50);
    }

    [Theory]
    [InlineData(StatusCode.ResourceExhausted)]
    [InlineData(StatusCode.Unavailable)]
    [InlineData(StatusCode.Internal)]
    public async Task ControlPlane_RefusesForAWhile_EverythingComesLater(StatusCode status)
    {
        (_authority.RefuseExports, _authority.ExportRefusal) = (true, status);
        var (series, counter) = (_aggregate.Get("m"), _meter.CreateCounter<long>("c"));
        for (var i = 0; i < 5; i++)
        {
            series.Record(TimeSpan.FromMilliseconds(1));
            counter.Add(1);
            var before = _authority.ExportCalls;
            await ExportedAsync(() => _authority.ExportCalls > before);
        }

        _authority.RefuseExports = false;
        await ExportedAsync(() => Total("c") == 5 && Count("m") == 5);
        Assert.Single(_logger.Collector.GetSnapshot(), l => l.Id.Id == 3200);
    }

    [Fact]
    public async Task ControlPlane_AwayForMoreThanTenMinutes_KeepsTwoPointsPerSeriesAndGoesOnAfterwards()
    {
        _authority.RefuseExports = true;
        var (series, counter) = (_aggregate.Get("m"), _meter.CreateCounter<long>("c"));
        var start = _time.GetUtcNow();
        while (_time.GetUtcNow() - start < OtlpMetricsExporter.LongestKept + TimeSpan.FromMinutes(1))
        {
            series.Record(TimeSpan.FromMilliseconds(1));
            counter.Add(1);
            _time.Advance(Interval);
            // Of each of the two series what is in doubt, and what came since.
            Assert.InRange(_exporter.Waiting, 0, 4);
        }

        await Eventually.Async(() => _logger.Collector.GetSnapshot().Any(l => l.Id.Id == 3202) || Tick(), "what is too old is dropped, and that is said");
        _authority.RefuseExports = false;
        await ExportedAsync(() => _logger.Collector.GetSnapshot().Any(l => l.Id.Id == 3201) || Again());
        var (total, count) = (Total("c"), Count("m"));
        series.Record(TimeSpan.FromMilliseconds(1));
        counter.Add(1);
        await ExportedAsync(() => Total("c") > total && Count("m") > count);

        bool Again()
        {
            counter.Add(1);
            return false;
        }
    }

    private Task ExportedAsync(Func<bool> condition) => Eventually.Async(() => condition() || Tick(), "the exports came", TimeSpan.FromSeconds(30));

    private bool Tick()
    {
        _time.Advance(TimeSpan.FromSeconds(1));
        return false;
    }

    private long Total(string name) => Metric(name).SelectMany(m => m.Sum.DataPoints).Sum(p => p.AsInt);

    private long Count(string name) => Metric(name).SelectMany(m => m.ExponentialHistogram.DataPoints).Sum(p => (long)p.Count);

    private List<Metric> Metric(string name)
    {
        lock (_authority.Exports)
        {
            return [.. _authority.Exports.SelectMany(e => e.ResourceMetrics).SelectMany(r => r.ScopeMetrics).SelectMany(s => s.Metrics).Where(m => m.Name == name)];
        }
    }
}
