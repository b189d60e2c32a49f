using Mesh.Balancing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Core.Tests.Balancing;

public sealed class PeakEwmaTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void Record_SampleAboveTheAverage_ShowsAtOnce()
    {
        var latency = Warm(4);

        latency.Record(TimeSpan.FromMilliseconds(200), _time.GetTimestamp());

        Assert.Equal(0.2, latency.Cost(_time.GetTimestamp()), 3);
    }

    [Fact]
    public void Cost_WithoutSamples_FallsByAThirdEveryTwoSeconds()
    {
        var latency = Warm(200);

        _time.Advance(TimeSpan.FromSeconds(2));

        Assert.Equal(0.2 * Math.Exp(-2 / 5.0), latency.Cost(_time.GetTimestamp()), 4);
    }

    [Fact]
    public void Record_ColdSample_CountsNoMoreThanTheDefault()
    {
        var latency = Warm(4);

        latency.Record(TimeSpan.FromMilliseconds(800), _time.GetTimestamp(), cold: true);

        Assert.Equal(PeakEwma.DefaultRtt.TotalSeconds, latency.Cost(_time.GetTimestamp()), 3);
    }

    [Fact]
    public void Record_ColdSampleOfASlowEndpoint_KeepsItSlow()
    {
        var latency = Warm(200);

        latency.Record(TimeSpan.FromMilliseconds(800), _time.GetTimestamp(), cold: true);

        Assert.Equal(0.2, latency.Cost(_time.GetTimestamp()), 3);
    }

    private PeakEwma Warm(int milliseconds)
    {
        var latency = new PeakEwma(_time, PeakEwma.DefaultRtt);
        latency.Record(TimeSpan.FromMilliseconds(milliseconds), _time.GetTimestamp());
        return latency;
    }
}
