using Mesh.Config;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

public sealed class ClusterBalancerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger<ClusterBalancer> _logger = new();
    private readonly ClusterBalancer _balancer;
    private readonly Random _random = new(42);

    public ClusterBalancerTests() => _balancer = new ClusterBalancer("c", (e, l) => new BalancedEndpoint(e, l), _time, _logger);

    private long Now => _time.GetTimestamp();

    public void Dispose() => _balancer.Dispose();

    [Fact]
    public void Pick_SlowEndpoint_GetsLessThanHalfItsShare()
    {
        Update(Endpoints(3));
        var slow = _balancer.Endpoints[0];
        var picks = new Dictionary<BalancedEndpoint, int>();
        // Virtual time: 20 s at 100 calls a second; 200 ms against 2 ms.
        var ending = new PriorityQueue<(BalancedEndpoint Endpoint, TimeSpan Took), long>();
        for (var i = 0; i < 2_000; i++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(10));
            while (ending.TryPeek(out var done, out var at) && at <= Now)
            {
                ending.Dequeue();
                done.Endpoint.AttemptEnded();
                done.Endpoint.Latency.Record(done.Took, Now);
            }

            var picked = Pick();
            picks[picked] = picks.GetValueOrDefault(picked) + 1;
            picked.AttemptStarted();
            var took = TimeSpan.FromMilliseconds(picked == slow ? 200 : 2);
            ending.Enqueue((picked, took), Now + took.Ticks);
        }

        Assert.InRange(picks[slow], 1, 2_000 / 3 / 2);
        Assert.All(picks.Values.Where((_, i) => i > 3), share => Assert.True(share > 500));
    }

    [Fact]
    public void Pick_EndpointThatWasSlow_IsFoundAgain()
    {
        Update(Endpoints(2));
        var (once, steady) = (_balancer.Endpoints[0], _balancer.Endpoints[1]);
        once.Latency.Record(TimeSpan.FromSeconds(1), Now);
        for (var second = 0; second < 120; second++)
        {
            steady.Latency.Record(TimeSpan.FromMilliseconds(2), Now);
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.True(once.Latency.Cost(Now) < steady.Latency.Cost(Now));
    }

    [Fact]
    public void Pick_TriedEndpoint_IsAvoidedWhileThereIsAnother()
    {
        Update(Endpoints(2));
        TriedEndpoints tried = default;
        tried.Add(_balancer.Endpoints[0]);

        for (var i = 0; i < 50; i++)
        {
            Assert.Same(_balancer.Endpoints[1], _balancer.Pick(_random, tried, Now));
        }

        tried.Add(_balancer.Endpoints[1]);
        Assert.NotNull(_balancer.Pick(_random, tried, Now));
    }

    [Fact]
    public void Pick_Priorities_LowestWithSomebodyHealthy()
    {
        var down = new Endpoint("10.0.0.1", 80, 1, Healthy: false);
        var backup = new Endpoint("10.0.0.2", 80, 1, true);
        Update([Locality(0, down), Locality(1, backup)]);

        Assert.Equal("10.0.0.2", Pick().Config.Address);
    }

    [Fact]
    public void Pick_AllOfAPriorityEjected_NextPriorityServes()
    {
        Update([Locality(0, new Endpoint("10.0.0.1", 80, 1, true)), Locality(1, new Endpoint("10.0.0.2", 80, 1, true))], Outliers(percent: 100));
        Fail(_balancer.Endpoints[0], 3);

        Assert.Equal("10.0.0.2", Pick().Config.Address);
    }

    [Fact]
    public void Pick_NobodyHealthy_IsNull()
    {
        Assert.Null(_balancer.Pick(_random, default, Now));
        Update([Locality(0, new Endpoint("10.0.0.1", 80, 1, Healthy: false))]);
        Assert.Null(_balancer.Pick(_random, default, Now));
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Report_FailuresInARow_EjectForTheBaseTimeThenLonger()
    {
        Update(Endpoints(3), Outliers(percent: 10));
        var bad = _balancer.Endpoints[1];
        Fail(bad, 2);
        Assert.False(bad.IsEjected(Now));
        Fail(bad, 1);
        Assert.True(bad.IsEjected(Now));
        Assert.All(Enumerable.Range(0, 50), _ => Assert.NotSame(bad, Pick()));

        _time.Advance(TimeSpan.FromSeconds(10.1));
        Assert.False(bad.IsEjected(Now));
        Fail(bad, 3);
        _time.Advance(TimeSpan.FromSeconds(15));
        Assert.True(bad.IsEjected(Now));
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.False(bad.IsEjected(Now));
        Assert.Equal(2, _logger.Collector.GetSnapshot().Count(r => r.Level == LogLevel.Warning));
    }

    [Fact]
    public void Report_SuccessBetweenFailures_StartsTheCountAgain()
    {
        Update(Endpoints(2), Outliers(percent: 100));
        Fail(_balancer.Endpoints[0], 2);
        _balancer.Report(_balancer.Endpoints[0], failed: false, Now);
        Fail(_balancer.Endpoints[0], 2);

        Assert.False(_balancer.Endpoints[0].IsEjected(Now));
    }

    [Fact]
    [Trait("gRFC", "A50")]
    public void Report_MaxEjectionPercent_BoundsButAtLeastOne()
    {
        Update(Endpoints(4), Outliers(percent: 50));
        foreach (var endpoint in _balancer.Endpoints)
        {
            Fail(endpoint, 3);
        }

        Assert.Equal(2, _balancer.Endpoints.Count(e => e.IsEjected(Now)));
    }

    [Fact]
    public void Pick_EverybodyEjected_UsesThemAll()
    {
        Update(Endpoints(1), Outliers(percent: 100));
        Fail(_balancer.Endpoints[0], 3);

        Assert.Same(_balancer.Endpoints[0], Pick());
    }

    [Fact]
    public void Update_SameAddressAndIdentity_KeepsTheHistory()
    {
        var id = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/a");
        var first = new Endpoint("10.0.0.1", 80, 1, true) { Tls = EndpointTls.Mesh, SpiffeId = id };
        Update([Locality(0, first)]);
        var live = _balancer.Endpoints[0];

        Assert.Empty(Update([Locality(0, first with { Weight = 5, SpiffeId = SpiffeId.Parse(id.ToString()) })]));
        Assert.Same(live, _balancer.Endpoints[0]);
        Assert.Equal(5, live.Config.Weight);

        Assert.Same(live, Assert.Single(Update([Locality(0, first with { SpiffeId = SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/b") })])));
        Assert.NotSame(live, _balancer.Endpoints[0]);
    }

    [Theory]
    [InlineData(LoadBalancing.RoundRobin, 333, 334)]
    [InlineData(LoadBalancing.Random, 270, 400)]
    [InlineData(LoadBalancing.LeastRequest, 270, 400)]
    internal void Pick_OtherPolicies_SpreadEvenly(LoadBalancing policy, int least, int most)
    {
        Update(Endpoints(3), c => c with { LoadBalancing = policy });
        var picks = Enumerable.Range(0, 1_000).Select(_ => Pick()).GroupBy(e => e).Select(g => g.Count()).ToList();

        Assert.Equal(3, picks.Count);
        Assert.All(picks, share => Assert.InRange(share, least, most));
    }

    private BalancedEndpoint Pick() => _balancer.Pick(_random, default, Now)!;

    private void Fail(BalancedEndpoint endpoint, int times)
    {
        for (var i = 0; i < times; i++)
        {
            _balancer.Report(endpoint, failed: true, Now);
        }
    }

    private IReadOnlyList<BalancedEndpoint> Update(IReadOnlyList<LocalityEndpoints> localities, Func<Cluster, Cluster>? change = null)
    {
        var cluster = new Cluster("c", "c", TimeSpan.FromSeconds(1));
        return _balancer.Update(change?.Invoke(cluster) ?? cluster, new LoadAssignment("c", localities));
    }

    private static Func<Cluster, Cluster> Outliers(int percent) =>
        c => c with { OutlierDetection = new OutlierDetection(3, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(300), percent) };

    private static LocalityEndpoints[] Endpoints(int count) =>
        [Locality(0, [.. Enumerable.Range(1, count).Select(i => new Endpoint($"10.0.0.{i}", 80, 1, true))])];

    private static LocalityEndpoints Locality(int priority, params Endpoint[] endpoints) => new(new Locality("", "", priority.ToString(System.Globalization.CultureInfo.InvariantCulture)), priority, 1, endpoints);
}
