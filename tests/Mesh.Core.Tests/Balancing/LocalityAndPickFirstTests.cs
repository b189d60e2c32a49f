using CsCheck;
using Mesh.Config;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

public sealed class LocalityAndPickFirstTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly Random _random = new(7);
    private readonly ClusterBalancer _balancer;

    public LocalityAndPickFirstTests() => _balancer = New();

    [Theory]
    [InlineData(LoadBalancing.PeakEwma)]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.LeastRequest)]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.RingHash)]
    [Trait("gRFC", "A27")]
    internal void Pick_LocalitiesOfOnePriority_ShareByTheirWeight(LoadBalancing policy)
    {
        Update(policy, Locality("a", 3, 1), Locality("b", 1, 3));

        // 3:1 although b has three endpoints: 75 %.
        var ofA = Enumerable.Range(0, 4_000).Count(_ => Pick().Config.Address.StartsWith("10.0.97.", StringComparison.Ordinal));
        Assert.InRange(ofA, 2_700, 3_300);
    }

    [Fact]
    public void Pick_RandomWeights_LocalitiesFollowThem() => Gen.Int[1, 20].Array[2, 5].Sample(
        weights =>
        {
            var balancer = New();
            var random = new Random(1);
            var localities = weights.Select((w, i) => Locality(((char)('a' + i)).ToString(), w, 1 + (i % 3))).ToArray();
            balancer.Update(Cluster(LoadBalancing.RoundRobin), new LoadAssignment("c", localities));
            var picks = new int[weights.Length];
            for (var i = 0; i < 4_000; i++)
            {
                var address = balancer.Pick(random, default, 0)!.Config.Address;
                picks[Array.FindIndex(localities, l => l.Endpoints.Any(e => e.Address == address))]++;
            }

            Assert.All(picks, (n, i) => Assert.InRange(n / 4_000.0, (weights[i] / (double)weights.Sum()) - 0.04, (weights[i] / (double)weights.Sum()) + 0.04));
        },
        iter: 30);

    [Fact]
    public void Pick_LocalityWithoutAUsableEndpoint_DoesNotCount()
    {
        Update(LoadBalancing.RoundRobin, Locality("a", 9, 2), Locality("b", 1, 1));
        foreach (var endpoint in _balancer.Endpoints.Take(2))
        {
            _balancer.Report(endpoint, failed: true, Now);
        }

        Assert.Equal("10.0.98.1", Assert.Single(Enumerable.Range(0, 100).Select(_ => Pick().Config.Address).Distinct()));

        var tried = default(TriedEndpoints);
        tried.Add(_balancer.Endpoints[2]);
        Assert.NotNull(_balancer.Pick(_random, tried, Now));
    }

    [Fact]
    public void Pick_UnhealthyLocality_DoesNotCount()
    {
        Update(LoadBalancing.PeakEwma, Locality("a", 9, 2, healthy: false), Locality("b", 1, 1), Locality("c", 1, 2));
        Assert.DoesNotContain(Enumerable.Range(0, 200), _ => Pick().Config.Address.StartsWith("10.0.97.", StringComparison.Ordinal));
    }

    [Fact]
    public void Pick_WeightsThatAreOnlySizes_ChoosesAmongAll()
    {
        // Two choices must see every zone's endpoint, else a slow one keeps its share.
        Update(LoadBalancing.PeakEwma, Locality("a", 1, 1), Locality("b", 1, 1), Locality("c", 1, 1));
        var slow = _balancer.Endpoints[0];
        slow.Latency.Record(TimeSpan.FromSeconds(1), Now);
        Assert.DoesNotContain(Enumerable.Range(0, 200), _ => ReferenceEquals(slow, Pick()));
    }

    [Fact]
    public void Pick_SeveralLocalities_AllocatesNothing()
    {
        Update(LoadBalancing.PeakEwma, Locality("a", 3, 1), Locality("b", 1, 3));
        Pick();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++)
        {
            _balancer.Pick(_random, default, 0);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    [Trait("gRFC", "A62")]
    public void PickFirst_UsesTheFirstUntilItCannotBeConnectedTo()
    {
        Update(LoadBalancing.PickFirst, Locality("a", 1, 3));
        Assert.All(Enumerable.Range(0, 10), _ => Assert.Same(_balancer.Endpoints[0], Pick()));

        _balancer.ConnectFailed(_balancer.Endpoints[2]); // not the one in use: nothing changes
        Assert.Same(_balancer.Endpoints[0], Pick());
        _balancer.ConnectFailed(_balancer.Endpoints[0]);
        _balancer.ConnectFailed(_balancer.Endpoints[0]);
        Assert.All(Enumerable.Range(0, 10), _ => Assert.Same(_balancer.Endpoints[1], Pick()));
        _balancer.ConnectFailed(_balancer.Endpoints[1]);
        _balancer.ConnectFailed(_balancer.Endpoints[2]);
        Assert.Same(_balancer.Endpoints[0], Pick());
    }

    [Fact]
    [Trait("gRFC", "A62")]
    public void PickFirst_Update_KeepsTheEndpointInUse()
    {
        var before = Locality("a", 1, 3);
        Update(LoadBalancing.PickFirst, before);
        _balancer.ConnectFailed(Pick());
        var used = Pick();

        Update(LoadBalancing.PickFirst, before with { Endpoints = [.. before.Endpoints.Reverse()] });
        Assert.Same(used, Pick());
        Update(LoadBalancing.PickFirst, before with { Endpoints = [before.Endpoints[2], before.Endpoints[0]] });
        Assert.Equal(before.Endpoints[2].Address, Pick().Config.Address);
    }

    [Fact]
    [Trait("gRFC", "A62")]
    public void PickFirst_TriedOne_IsAvoidedForThatCallOnly()
    {
        Update(LoadBalancing.PickFirst, Locality("a", 1, 2));
        var tried = default(TriedEndpoints);
        tried.Add(_balancer.Endpoints[0]);
        Assert.Same(_balancer.Endpoints[1], _balancer.Pick(_random, tried, Now));
        Assert.Same(_balancer.Endpoints[0], Pick());
    }

    [Fact]
    [Trait("gRFC", "A113")]
    public void PickFirst_Shuffled_FirstIsDrawnByWeightAndKept()
    {
        var heavy = 0;
        for (var i = 0; i < 1_000; i++)
        {
            var balancer = New();
            balancer.Update(
                Cluster(LoadBalancing.PickFirst) with { ShuffleEndpoints = true }, new LoadAssignment("c", [Locality("a", 3, 2), Locality("b", 1, 2)]));
            var first = balancer.Pick(_random, default, 0)!;
            Assert.Same(first, balancer.Pick(_random, default, 0));
            heavy += first.Config.Address.StartsWith("10.0.97.", StringComparison.Ordinal) ? 1 : 0;
        }

        Assert.InRange(heavy, 700, 800);
    }

    private long Now => _time.GetTimestamp();

    private ClusterBalancer New() => new("c", (e, l) => new BalancedEndpoint(e, l), _time, new FakeLogger<ClusterBalancer>());

    private BalancedEndpoint Pick() => _balancer.Pick(_random, default, Now, (ulong)_random.NextInt64(long.MinValue, long.MaxValue))!;

    private void Update(LoadBalancing policy, params LocalityEndpoints[] localities) => _balancer.Update(Cluster(policy), new LoadAssignment("c", localities));

    private static Cluster Cluster(LoadBalancing policy) => new("c", "c", TimeSpan.FromSeconds(1))
    {
        LoadBalancing = policy,
        OutlierDetection = new OutlierDetection(1, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(1), 100),
        PanicThresholdPercent = 0,
    };

    // The address names the locality: 'a' is 97.
    private static LocalityEndpoints Locality(string name, int weight, int count, bool healthy = true) =>
        new(new Locality("", name, ""), 0, weight, [.. Enumerable.Range(1, count).Select(i => new Endpoint($"10.0.{(int)name[0]}.{i}", 80, 1, healthy))]);
}
