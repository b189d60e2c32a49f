using CsCheck;
using Mesh.Config;
using Xunit;
using static Mesh.Balancing.BalancerFixture;

namespace Mesh.Balancing;

public sealed class RotationTests : IDisposable
{
    private static readonly WeightedRoundRobin _reports = WeightedRoundRobin.Default;
    private readonly BalancerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void RoundRobin_EqualWeights_IsExactlyOneAfterAnother()
    {
        Update(LoadBalancing.RoundRobin, 7, 7, 7);
        var first = Enumerable.Range(0, 3).Select(_ => _fixture.Pick()).ToList();
        Assert.Equal(3, first.Distinct().Count());
        Assert.All(Enumerable.Range(0, 30), i => Assert.Same(first[i % 3], _fixture.Pick()));
    }

    [Fact]
    public void RoundRobin_RandomStart_ClientsDoNotBeginAtOneEndpoint() =>
        Assert.Equal(5, Enumerable.Range(0, 60).Select(seed =>
        {
            using var fixture = new BalancerFixture(seed: seed);
            fixture.Update(Cluster(LoadBalancing.RoundRobin), Locality(1, 5));
            return fixture.Pick().Config.Address;
        }).Distinct().Count());

    [Fact]
    public void RoundRobin_Weights_AreFollowedClosely() => Gen.Int[1, 100].Array[2, 12].Sample(
        weights =>
        {
            using var fixture = new BalancerFixture();
            Update(fixture, LoadBalancing.RoundRobin, weights);
            const int Rounds = 200;
            var picks = Rounds * weights.Sum();
            var counts = Count(fixture, picks);
            Assert.All(weights, (w, i) => Assert.InRange(counts[i], (Rounds * w) - (0.02 * Rounds * w) - 3, (Rounds * w) + (0.02 * Rounds * w) + 3));
        },
        iter: 20);

    [Fact]
    public void RoundRobin_HeavyEndpoint_IsSpreadAndNotInOneBlock()
    {
        Update(LoadBalancing.RoundRobin, 3, 1, 1);
        var picks = Enumerable.Range(0, 500).Select(_ => _fixture.Pick().Config.Address == "10.0.1.1").ToList();
        Assert.Equal(300, picks.Count(heavy => heavy), 3.0);
        var longest = string.Concat(picks.Select(h => h ? 'h' : ' ')).Split(' ').Max(run => run.Length);
        Assert.InRange(longest, 1, 4);
    }

    [Fact]
    public void RoundRobin_WeightsChange_AreFollowedAtOnce()
    {
        Update(LoadBalancing.RoundRobin, 1, 1);
        _fixture.Pick();
        Update(LoadBalancing.RoundRobin, 9, 1);
        Assert.InRange(Count(_fixture, 1_000)[0], 890, 910);
    }

    [Fact]
    public void RoundRobin_Tried_IsPassedOver()
    {
        Update(LoadBalancing.RoundRobin, 1_000, 1, 1);
        var tried = default(TriedEndpoints);
        tried.Add(_fixture.At(1, 1));
        Assert.DoesNotContain(_fixture.At(1, 1), Enumerable.Range(0, 100).Select(_ => _fixture.Balancer.Pick(_fixture.Random, tried, _fixture.Now)));
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_Reports_AreFollowedAndTheRestGetTheMean()
    {
        Update(LoadBalancing.WeightedRoundRobin, 1, 1, 1);
        _fixture.Pick();
        Report(1, 0.5, 300); // 600
        Report(2, 1, 200); // 200
        _fixture.Time.Advance(_reports.Blackout);
        Assert.Equal([500, 167, 333], Count(_fixture, 1_000).Select(c => c), (a, b) => Math.Abs(a - b) <= 5);
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_FewerThanTwoReports_IsRoundRobin()
    {
        Update(LoadBalancing.WeightedRoundRobin, 1, 1, 1);
        _fixture.Pick();
        Report(1, 0.1, 1_000);
        _fixture.Time.Advance(_reports.Blackout);
        Assert.Equal([333, 333, 333], Count(_fixture, 999));
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_NewReports_CountWhenThePeriodIsOver()
    {
        Update(LoadBalancing.WeightedRoundRobin, 1, 1);
        _fixture.Pick();
        Report(1, 1, 100);
        Report(2, 1, 100);
        _fixture.Time.Advance(_reports.Blackout);
        Assert.Equal([50, 50], Count(_fixture, 100));
        Report(1, 0.25, 100);
        Assert.Equal([50, 50], Count(_fixture, 100));
        _fixture.Time.Advance(_reports.UpdatePeriod);
        Assert.InRange(Count(_fixture, 1_000)[0], 790, 810);

        // Half a cluster that goes silent falls back to even turns.
        _fixture.Time.Advance(_reports.Expiration);
        Assert.Equal([50, 50], Count(_fixture, 100));
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void Weighted_ManyThreads_RebuildWithoutLosingShares()
    {
        Update(LoadBalancing.WeightedRoundRobin, 1, 1);
        _fixture.Pick();
        Report(1, 0.5, 150);
        Report(2, 1, 100);
        _fixture.Time.Advance(_reports.Blackout);
        var counts = new int[2];
        Parallel.For(0, 4, thread =>
        {
            var random = new Random(thread);
            for (var i = 0; i < 5_000; i++)
            {
                if (i % 100 == 0)
                {
                    _fixture.Time.Advance(TimeSpan.FromMilliseconds(50));
                }

                Interlocked.Increment(ref counts[_fixture.Balancer.Pick(random, default, _fixture.Now)!.Config.Address == "10.0.1.1" ? 0 : 1]);
            }
        });
        Assert.InRange(counts[0] / 20_000.0, 0.72, 0.78);
    }

    private void Report(int number, double utilization, double queries) =>
        _fixture.At(1, number).ReportLoad(new LoadReport(utilization, queries, 0), _reports, _fixture.Now);

    private void Update(LoadBalancing policy, params int[] weights) => Update(_fixture, policy, weights);

    private static void Update(BalancerFixture fixture, LoadBalancing policy, params int[] weights) => fixture.Update(
        Cluster(policy), Locality(1, weights.Length) with { Endpoints = [.. Endpoints(1, weights.Length).Select((e, i) => e with { Weight = weights[i] })] });

    private static int[] Count(BalancerFixture fixture, int picks)
    {
        var counts = new int[fixture.Balancer.Endpoints.Count];
        var index = fixture.Balancer.Endpoints.Select((e, i) => (e, i)).ToDictionary(x => x.e, x => x.i);
        for (var i = 0; i < picks; i++)
        {
            counts[index[fixture.Pick()]]++;
        }

        return counts;
    }
}
