using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Resilience;

public sealed class LatencyPercentileTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly LatencyPercentile _latencies;

    public LatencyPercentileTests() => _latencies = new LatencyPercentile(_time);

    [Fact]
    public void At_FewerSamplesThanNeeded_IsNull()
    {
        Record(LatencyPercentile.MinSamples - 1, 5);
        Assert.Null(At(50));

        Record(1, 5);
        Assert.NotNull(At(50));
    }

    [Theory]
    [InlineData(50, 500)]
    [InlineData(90, 900)]
    [InlineData(95, 950)]
    [InlineData(99, 990)]
    public void At_EvenlySpread_IsRightToAnEighth(int percentile, double expected)
    {
        for (var ms = 1; ms <= 1_000; ms++)
        {
            Record(1, ms);
        }

        Assert.InRange(At(percentile)!.Value.TotalMilliseconds, expected, expected * 1.126);
    }

    [Fact]
    public void At_Extremes_StayInRange()
    {
        Record(LatencyPercentile.MinSamples, -1);
        Assert.InRange(At(99)!.Value, TimeSpan.FromTicks(1), TimeSpan.FromMilliseconds(1));
        Record(10_000, 3_600_000);
        Assert.InRange(At(99)!.Value, TimeSpan.FromMinutes(4), TimeSpan.FromMinutes(5));
    }

    [Fact]
    public void At_OldSamples_AreForgotten()
    {
        Record(100, 10);
        _time.Advance(LatencyPercentile.Window);
        Record(100, 1_000);
        Assert.InRange(At(50)!.Value.TotalMilliseconds, 10, 12);

        _time.Advance(LatencyPercentile.Window);
        Assert.InRange(At(50)!.Value.TotalMilliseconds, 1_000, 1_126);
        _time.Advance(LatencyPercentile.Window);
        Assert.Null(At(50));
    }

    [Fact]
    public void At_NobodyCalledForLong_IsNull()
    {
        Record(100, 10);
        _time.Advance(LatencyPercentile.Window * 2);
        Assert.Null(At(50));
    }

    private void Record(int times, double milliseconds)
    {
        for (var i = 0; i < times; i++)
        {
            _latencies.Record(TimeSpan.FromMilliseconds(milliseconds), _time.GetTimestamp());
        }
    }

    private TimeSpan? At(int percentile) => _latencies.At(percentile, _time.GetTimestamp());
}
