using Mesh.Balancing.Pickers;
using Mesh.Config;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

/// <summary>What endpoints may say of themselves.</summary>
public sealed class LoadWeightTests
{
    [Fact]
    public void Report_NumbersWhoseSumIsNone_AreNotBelieved()
    {
        var time = new FakeTimeProvider();
        var settings = WeightedRoundRobin.Default with { Blackout = TimeSpan.Zero };
        BalancedEndpoint[] endpoints = [.. Enumerable.Range(1, 3).Select(i => new BalancedEndpoint(new Endpoint($"10.0.0.{i}", 80, 1, true), new PeakEwma(time, PeakEwma.DefaultRtt)))];
        var now = time.GetTimestamp();
        endpoints[0].ReportLoad(new LoadReport(1, 1e308, 0), settings, now);
        endpoints[1].ReportLoad(new LoadReport(1, 1e308, 0), settings, now);
        var weights = new double[3];

        new ReportedWeights(settings, null, time).Compute(endpoints, now, weights);

        Assert.Equal([1, 1, 1], weights);
    }
}
