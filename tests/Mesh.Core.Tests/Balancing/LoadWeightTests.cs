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

    [Fact]
    [Trait("gRFC", "A78")]
    public void Compute_TellsWhoHasAWeightOfItsOwn()
    {
        var time = new FakeTimeProvider();
        var settings = WeightedRoundRobin.Default with { Blackout = TimeSpan.FromSeconds(10), Expiration = TimeSpan.FromSeconds(60) };
        BalancedEndpoint[] endpoints = [.. Enumerable.Range(1, 4).Select(i => new BalancedEndpoint(new Endpoint($"10.0.0.{i}", 80, 1, true), new PeakEwma(time, PeakEwma.DefaultRtt)))];
        var watch = new Watch();
        var computed = new ReportedWeights(settings, null, time, watch);
        var weights = new double[4];
        void Report(params int[] which)
        {
            foreach (var i in which)
            {
                endpoints[i].ReportLoad(new LoadReport(0.5, 100, 0), settings, time.GetTimestamp());
            }
        }

        Report(0, 1, 2);
        computed.Compute(endpoints, time.GetTimestamp(), weights);
        time.Advance(TimeSpan.FromSeconds(30));
        Report(0, 1);
        computed.Compute(endpoints, time.GetTimestamp(), weights);
        time.Advance(TimeSpan.FromSeconds(40));
        computed.Compute(endpoints, time.GetTimestamp(), weights);
        computed.Compute(endpoints, time.GetTimestamp(), weights);

        // Blackout; three with a weight and one that never said anything; then the third's is too old, and stays so.
        Assert.Equal(["0 0 0 0: 0 known, 0 stale", "200 200 200 0: 3 known, 0 stale", "200 200 0 0: 2 known, 1 stale", "200 200 0 0: 2 known, 1 stale"], watch.Told);
    }

    private sealed class Watch : IWeightWatch
    {
        public List<string> Told { get; } = [];

        public void Updated(ReadOnlySpan<double> weights, int known, int stale) => Told.Add($"{string.Join(' ', weights.ToArray())}: {known} known, {stale} stale");
    }
}
