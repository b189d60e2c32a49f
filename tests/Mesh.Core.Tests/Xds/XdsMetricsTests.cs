using System.Diagnostics.Metrics;
using Mesh.Telemetry;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Xds;

public sealed class XdsMetricsTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly CounterTotals _totals;
    private readonly XdsMetrics _metrics;

    public XdsMetricsTests()
    {
        var meters = _services.GetRequiredService<IMeterFactory>();
        _totals = new CounterTotals(meters: meters, time: _time);
        _metrics = new XdsMetrics(meters, "https://127.0.0.1:15012", _time);
    }

    public void Dispose()
    {
        _totals.Dispose();
        _services.Dispose();
    }

    [Fact]
    [Trait("gRFC", "A78")]
    public void Connected_FollowsStreamsAndTheirAnswers()
    {
        Assert.Equal(0, Gauge(GrpcTags.XdsConnected));
        _metrics.Opened();
        Assert.Equal(1, Gauge(GrpcTags.XdsConnected));
        _metrics.Lost(answered: false);
        _metrics.Lost(answered: false);
        Assert.Equal(0, Gauge(GrpcTags.XdsConnected));
        Assert.Equal(1, Total(GrpcTags.XdsServerFailure));

        // After a failure only an answer makes it healthy again.
        _metrics.Opened();
        Assert.Equal(0, Gauge(GrpcTags.XdsConnected));
        _metrics.Answered();
        Assert.Equal(1, Gauge(GrpcTags.XdsConnected));
        _metrics.Lost(answered: true);
        Assert.Equal(1, Gauge(GrpcTags.XdsConnected));
        Assert.Equal(1, Total(GrpcTags.XdsServerFailure));
        _metrics.Lost(answered: false);
        Assert.Equal(2, Total(GrpcTags.XdsServerFailure));
    }

    [Fact]
    public void Staleness_CountsFromTheLossOfTheStreamToTheNextAnswer()
    {
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(3, Gauge(MeshTags.XdsStaleness));
        _metrics.Opened();
        _metrics.Answered();
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(0, Gauge(MeshTags.XdsStaleness));
        _metrics.Lost(answered: true);
        _time.Advance(TimeSpan.FromSeconds(1));
        _metrics.Lost(answered: false);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(2, Gauge(MeshTags.XdsStaleness));
    }

    [Fact]
    [Trait("gRFC", "A78")]
    public void Updates_AreCountedByTypeAndAnswer()
    {
        _metrics.Took(XdsTypes.Listener, valid: true);
        _metrics.Took(XdsTypes.Listener, valid: false);
        _metrics.Updated(XdsTypes.Listener, ack: false);
        var type = new XdsTypeState(XdsTypes.Listener);
        type.Resources.Add("a", new XdsResource("a") { Status = XdsResourceStatus.Nacked, Model = new object() });
        type.Resources.Add("b", new XdsResource("b"));
        _metrics.Hold([type]);

        Assert.Equal((1, 1), (Total(GrpcTags.XdsUpdatesValid), Total(GrpcTags.XdsUpdatesInvalid)));
        var update = Assert.Single(_totals.All, t => t.Name == MeshTags.XdsUpdates);
        Assert.Equal([new(MeshTags.XdsType, "listener"), new(MeshTags.XdsAnswer, "nack")], update.Tags);
        Assert.Equal(
            ["nacked_but_cached", "requested"],
            _totals.ReadGauges(out _).Where(g => g.Instrument.Name == GrpcTags.XdsResources).Select(g => g.Tags.Single(t => t.Key == GrpcTags.XdsCacheState).Value).Order());
    }

    private double Gauge(string name) => _totals.ReadGauges(out _).Single(g => g.Instrument.Name == name).Value;

    private long Total(string name) => _totals.All.Where(t => t.Name == name).Sum(t => t.Total);
}
