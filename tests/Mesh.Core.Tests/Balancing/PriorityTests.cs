using CsCheck;
using Mesh.Config;
using Xunit;
using static Mesh.Balancing.BalancerFixture;

namespace Mesh.Balancing;

public sealed class PriorityTests : IDisposable
{
    private readonly BalancerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Pick_FirstPriorityCanCarryAll_TakesAll()
    {
        _fixture.Update(Cluster(), Locality(1, 10), Locality(2, 5, priority: 1));
        _fixture.Eject(1, 1, 2); // 80 % × 1.4
        Assert.Equal(1, _fixture.Shares()[1]);
        Assert.Empty(_fixture.Decided);
    }

    [Fact]
    public void Pick_HalfOfTheFirstPriorityIsOut_TheRestSpillsOver()
    {
        _fixture.Update(Cluster(), Locality(1, 4), Locality(2, 4, priority: 1));
        _fixture.Eject(1, 1, 2);

        Assert.InRange(_fixture.Shares()[1], 0.67, 0.73);
        Assert.Equal(["failover priority"], _fixture.Decided);
        _fixture.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(1, _fixture.Shares()[1]);
    }

    [Fact]
    [Trait("gRFC", "A56")]
    public void Pick_FirstPriorityIsDown_TheNextTakesAll()
    {
        _fixture.Update(Cluster(), Locality(1, 2), Locality(2, 2, priority: 1), Locality(3, 2, priority: 2));
        _fixture.Eject(1, 1, 2);
        Assert.Equal(1, _fixture.Shares()[2]);
        _fixture.Eject(2, 1, 2);
        Assert.Equal(1, _fixture.Shares()[3]);
    }

    [Theory]
    [InlineData(LoadBalancing.RingHash)]
    [InlineData(LoadBalancing.PickFirst)]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.LeastRequest)]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.WeightedRoundRobin)]
    [Trait("gRFC", "A56")]
    internal void Pick_AnyPolicy_FailsOver(LoadBalancing policy)
    {
        _fixture.Update(Cluster(policy), Locality(1, 2), Locality(2, 2, priority: 1));
        _fixture.Eject(1, 1, 2);
        Assert.Equal(1, _fixture.Shares(200)[2]);
        _fixture.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(1, _fixture.Shares(200)[1]);
    }

    [Fact]
    public void Pick_RingHashThatSpills_SendsEqualHashesTogether()
    {
        _fixture.Update(Cluster(LoadBalancing.RingHash), Locality(1, 4), Locality(2, 4, priority: 1));
        _fixture.Eject(1, 1, 2);
        Assert.All(Enumerable.Range(0, 100), i =>
        {
            var hash = (ulong)i * 0x9E3779B97F4A7C15;
            Assert.Same(_fixture.Balancer.Pick(_fixture.Random, default, _fixture.Now, hash), _fixture.Balancer.Pick(_fixture.Random, default, _fixture.Now, hash));
        });
        Assert.InRange(_fixture.Shares()[1], 0.67, 0.73);
    }

    [Fact]
    public void Pick_EndpointsThatTheControlPlaneDeclaresUnhealthy_CountAgainstTheirPriority()
    {
        var first = Locality(1, 4);
        first = first with { Endpoints = [.. first.Endpoints.Select((e, i) => e with { Healthy = i < 2 })] };
        _fixture.Update(Cluster(), first, Locality(2, 4, priority: 1));
        Assert.InRange(_fixture.Shares()[1], 0.67, 0.73);

        // Draining ones are leaving on purpose: they don't.
        first = first with { Endpoints = [.. first.Endpoints.Select(e => e with { Draining = !e.Healthy })] };
        _fixture.Update(Cluster(), first, Locality(2, 4, priority: 1));
        Assert.Equal(1, _fixture.Shares()[1]);
    }

    [Fact]
    public void Pick_OverprovisioningOfTheAssignment_IsFollowed()
    {
        _fixture.Balancer.Update(Cluster(), new LoadAssignment("c", [Locality(1, 4), Locality(2, 4, priority: 1)]) { OverprovisioningPercent = 100 });
        _fixture.Eject(1, 1);
        Assert.InRange(_fixture.Shares()[1], 0.72, 0.78);
    }

    [Fact]
    public void Pick_BelowThePanicThreshold_UsesEverybodyAndSaysSoOnce()
    {
        _fixture.Update(Cluster(), Locality(1, 5));
        _fixture.Eject(1, 1, 2);
        Assert.Equal(3, Distinct());
        _fixture.Eject(1, 3); // 40 %
        Assert.Equal(5, Distinct());
        Assert.Equal(["panic threshold"], _fixture.Decided);

        _fixture.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(5, Distinct());
        Assert.Equal(["Panics", "PanicEnded"], _fixture.Logger.Collector.GetSnapshot().Select(r => r.Id.Name));
    }

    [Fact]
    public void Pick_ThresholdZero_NeverPanicsWhileOneWorks()
    {
        _fixture.Update(Cluster() with { PanicThresholdPercent = 0 }, Locality(1, 5));
        _fixture.Eject(1, 1, 2, 3, 4);
        Assert.Equal(1, Distinct());
        _fixture.Eject(1, 5);
        Assert.Equal(5, Distinct());
    }

    [Fact]
    public void Pick_OnePriorityInPanic_OnlyWhenAllTogetherCannotCarry()
    {
        _fixture.Update(Cluster(), Locality(1, 10), Locality(2, 10, priority: 1));
        _fixture.Eject(1, 1, 2, 3, 4, 5, 6, 7); // 42 % + 58 %: enough
        Assert.DoesNotContain("panic threshold", _fixture.Decided);
        Assert.Equal(3 + 10, Distinct());

        _fixture.Eject(2, 1, 2, 3, 4, 5, 6, 7, 8); // 42 % + 28 %: not enough, both below 50 %
        Assert.Equal(20, Distinct());
        Assert.InRange(_fixture.Shares()[1], 0.45, 0.55); // by size
    }

    [Fact]
    public void Pick_Panic_StillLeavesAloneWhoAskedForLess()
    {
        _fixture.Update(Cluster(), Locality(1, 5));
        _fixture.Eject(1, 1, 2, 3);
        _fixture.At(1, 4).SteerAway(_fixture.Now + TimeSpan.FromSeconds(1).Ticks);
        Assert.Equal(["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.5"], Enumerable.Range(0, 200).Select(_ => _fixture.Pick().Config.Address).Distinct().Order());
    }

    [Theory]
    [InlineData(0, 2)]
    [InlineData(50, 2)]
    public void Pick_WhoeverIsHealthyAskedForLess_ComesBackBeforeWhoIsEjected(int threshold, int distinct)
    {
        _fixture.Update(Cluster() with { PanicThresholdPercent = threshold }, Locality(1, 2), Locality(2, 2, priority: 1));
        _fixture.Eject(2, 1, 2);
        _fixture.At(1, 1).SteerAway(_fixture.Now + TimeSpan.FromSeconds(1).Ticks);
        _fixture.At(1, 2).SteerAway(_fixture.Now + TimeSpan.FromSeconds(1).Ticks);
        Assert.Equal(distinct, Distinct());
        Assert.Equal(1, _fixture.Shares()[1]);
        Assert.DoesNotContain("panic threshold", _fixture.Decided);
    }

    [Fact]
    public void Pick_MostAskForLess_IsNoPanic()
    {
        _fixture.Update(Cluster(), Locality(1, 4));
        for (var i = 1; i < 4; i++)
        {
            _fixture.At(1, i).SteerAway(_fixture.Now + TimeSpan.FromSeconds(1).Ticks);
        }

        Assert.Equal(1, Distinct());
        Assert.Empty(_fixture.Decided);
    }

    [Fact]
    public void Pick_TriedInEveryPriority_IsAvoidedThenUsed()
    {
        _fixture.Update(Cluster(), Locality(1, 1), Locality(2, 1, priority: 1));
        var tried = default(TriedEndpoints);
        tried.Add(_fixture.At(1, 1));
        Assert.Same(_fixture.At(2, 1), _fixture.Balancer.Pick(_fixture.Random, tried, _fixture.Now));
        tried.Add(_fixture.At(2, 1));
        Assert.Same(_fixture.At(1, 1), _fixture.Balancer.Pick(_fixture.Random, tried, _fixture.Now));
    }

    /// <summary>Whatever is out, and whatever the settings: somebody is picked, and somebody who works as long as there is one and health counts.</summary>
    [Fact]
    public void Pick_AnythingOut_IsNeverEmptyAndPrefersWhoWorks() => Gen.Select(
        Gen.Enum<LoadBalancing>(), Gen.Bool, Gen.Int[0, 100], Gen.Int[1, 4].Array[1, 4], Gen.Int[0, 4].Array[16], Gen.Int[0, 1_000]).Sample(
        (policy, near, threshold, sizes, states, seed) =>
        {
            using var fixture = new BalancerFixture(new Locality("r0", "z0", ""), seed);
            var localities = sizes.Select((n, i) => Locality(i + 1, n, priority: i / 2, zone: $"z{i % 2}", region: "r0", weight: i + 1)).ToArray();
            fixture.Update(Cluster(policy) with { PreferNear = near, PanicThresholdPercent = threshold }, localities);
            var (works, healthy) = (0, 0);
            for (var i = 0; i < fixture.Balancer.Endpoints.Count; i++)
            {
                var endpoint = fixture.Balancer.Endpoints[i];
                switch (states[i])
                {
                    case 1:
                        endpoint.EjectedUntil = fixture.Now + 1_000;
                        break;
                    case 2:
                        endpoint.ProbeFailing = true;
                        break;
                    case 3:
                        healthy++;
                        endpoint.SteerAway(fixture.Now + 1_000);
                        break;
                    default:
                        works++;
                        healthy++;
                        break;
                }
            }

            var tried = default(TriedEndpoints);
            for (var i = 0; i < 20; i++)
            {
                var picked = fixture.Balancer.Pick(fixture.Random, tried, fixture.Now, (ulong)fixture.Random.NextInt64());
                Assert.NotNull(picked);
                Assert.True(threshold > 0 || works == 0 || i > 0 || picked.IsUsable(fixture.Now));
                Assert.True(threshold > 0 || healthy == 0 || picked.IsHealthy(fixture.Now));
                // Others are tried before anyone is tried again.
                Assert.True(i >= Math.Min(4, works) || !tried.Contains(picked));
                tried.Add(picked);
            }
        },
        iter: 400);

    [Theory]
    [InlineData(LoadBalancing.PeakEwma)]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.WeightedRoundRobin)]
    [InlineData(LoadBalancing.LeastRequest)]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.RingHash)]
    [InlineData(LoadBalancing.PickFirst)]
    internal void Pick_SomeOutAndSpilling_AllocatesNothing(LoadBalancing policy)
    {
        using var fixture = new BalancerFixture(new Locality("r", "z", ""));
        var cluster = Cluster(policy) with { PreferNear = true, SlowStart = new SlowStart(TimeSpan.FromSeconds(30), 2, 10) };
        fixture.Update(cluster, Locality(1, 4, zone: "z", region: "r"), Locality(2, 4, region: "r", weight: 9), Locality(3, 4, priority: 1));
        fixture.Eject(1, 1, 2, 3);
        fixture.Eject(2, 1, 2, 3);
        var tried = default(TriedEndpoints);
        tried.Add(fixture.Pick());
        var (balancer, random, now) = (fixture.Balancer, fixture.Random, fixture.Now);
        // Rotations are worked out when a part has its first call.
        for (var i = 0UL; i < 100; i++)
        {
            balancer.Pick(random, i % 2 == 0 ? tried : default, now, i << 40);
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0UL; i < 500; i++)
        {
            balancer.Pick(random, default, now, i << 40);
            balancer.Pick(random, tried, now, i << 40);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData(LoadBalancing.PeakEwma)]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.PickFirst)]
    [InlineData(LoadBalancing.RingHash)]
    internal void Pick_WhileUpdatesAndEjectionsGoOn_IsNeverEmpty(LoadBalancing policy)
    {
        LocalityEndpoints[][] updates = [[Locality(1, 3), Locality(2, 3, priority: 1)], [Locality(1, 2), Locality(3, 2, priority: 1)]];
        _fixture.Update(Cluster(policy), updates[0]);
        var empty = 0;
        Parallel.For(0, 4, thread =>
        {
            var random = new Random(thread);
            for (var i = 0; i < 3_000; i++)
            {
                if (thread == 0 && i % 100 == 0)
                {
                    _fixture.Update(Cluster(policy), updates[i / 100 % 2]);
                }

                var endpoint = _fixture.Balancer.Pick(random, default, _fixture.Now, (ulong)random.NextInt64());
                if (endpoint is null)
                {
                    Interlocked.Increment(ref empty);
                }
                else if (i % 10 == thread)
                {
                    endpoint.EjectedUntil = _fixture.Now + (i % 20 == 0 ? 1 : -1);
                    endpoint.SteerAway(_fixture.Now + (i % 3));
                    endpoint.ProbeFailing = i % 30 == 0;
                    _fixture.Time.Advance(TimeSpan.FromTicks(1));
                }
            }
        });

        Assert.Equal(0, empty);
        // What was last said is what counts: nothing was lost on the way.
        foreach (var endpoint in _fixture.Balancer.Endpoints)
        {
            endpoint.ProbeFailing = false;
        }

        _fixture.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, _fixture.Shares(200)[1]);
    }

    private int Distinct() => Enumerable.Range(0, 1_000).Select(_ => _fixture.Pick()).Distinct().Count();
}
