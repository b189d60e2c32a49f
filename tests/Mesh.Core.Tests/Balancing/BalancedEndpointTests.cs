using Mesh.Config;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.Balancing;

public sealed class BalancedEndpointTests : IDisposable
{
    private static readonly WeightedRoundRobin _settings = WeightedRoundRobin.Default;
    private readonly FakeTimeProvider _time = new();
    private readonly ClusterBalancer _balancer;
    private readonly Random _random = new(3);

    public BalancedEndpointTests()
    {
        _balancer = new ClusterBalancer("c", (e, l) => new BalancedEndpoint(e, l), _time, new FakeLogger<ClusterBalancer>());
        _balancer.Update(
            new Cluster("c", "c", TimeSpan.FromSeconds(1)),
            new LoadAssignment("c", [new LocalityEndpoints(new Locality("", "", ""), 0, 1, [.. Enumerable.Range(1, 4).Select(i => new Endpoint($"10.0.0.{i}", 80, 1, true))])]));
    }

    private long Now => _time.GetTimestamp();

    private BalancedEndpoint First => _balancer.Endpoints[0];

    public void Dispose() => _balancer.Dispose();

    [Fact]
    public void SteerAway_Overloaded_IsLeftOutUntilThen()
    {
        First.SteerAway(Now + TimeSpan.FromSeconds(2).Ticks);
        First.SteerAway(Now + TimeSpan.FromSeconds(1).Ticks); // shorter: does not count

        _time.Advance(TimeSpan.FromSeconds(1.5));
        Assert.True(First.IsSteeredAway(Now));
        Assert.False(First.IsUsable(Now));
        Assert.True(First.IsHealthy(Now));
        Assert.DoesNotContain(First, Picks());

        First.SteerAway(Now + TimeSpan.FromSeconds(1).Ticks); // longer, while it is out
        _time.Advance(TimeSpan.FromSeconds(0.9));
        Assert.DoesNotContain(First, Picks());
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Contains(First, Picks());
    }

    [Fact]
    public void SteerAway_Everybody_StillAnswers()
    {
        foreach (var endpoint in _balancer.Endpoints)
        {
            endpoint.SteerAway(Now + TimeSpan.FromSeconds(1).Ticks);
        }

        Assert.Equal(4, Picks().Distinct().Count());
    }

    [Fact]
    public void ProbeFailing_Endpoint_IsLeftOutUntilItsProbesAreGood()
    {
        First.ProbeFailing = true;
        Assert.DoesNotContain(First, Picks());
        First.ProbeFailing = false;
        Assert.Contains(First, Picks());
    }

    [Fact]
    public void UsableSince_ComingBack_BeginsAgainButNotAfterASteeredRest()
    {
        Picks();
        var start = First.UsableSince;
        First.SteerAway(Now + TimeSpan.FromSeconds(1).Ticks);
        _ = Picks();
        _time.Advance(TimeSpan.FromSeconds(2));
        Picks();
        Assert.Equal(start, First.UsableSince);

        First.EjectedUntil = Now + TimeSpan.FromSeconds(1).Ticks;
        Picks();
        _time.Advance(TimeSpan.FromSeconds(5));
        Picks();
        Assert.Equal(Now, First.UsableSince);
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void LoadWeight_FromAReport_CountsAfterTheBlackoutUntilItExpires()
    {
        Picks();
        First.ReportLoad(new LoadReport(0.5, 100, 0), _settings, Now);
        Assert.Equal(0, First.LoadWeight(_settings, _time, Now));
        _time.Advance(_settings.Blackout);
        Assert.Equal(200, First.LoadWeight(_settings, _time, Now));

        First.ReportLoad(new LoadReport(0.5, 100, 50), _settings, Now); // half of its calls fail: 0.5 + 0.5
        Assert.Equal(100, First.LoadWeight(_settings, _time, Now));
        _time.Advance(_settings.Expiration);
        Assert.Equal(0, First.LoadWeight(_settings, _time, Now));

        // After that a blackout again.
        First.ReportLoad(new LoadReport(0.5, 100, 0), _settings, Now);
        Assert.Equal(0, First.LoadWeight(_settings, _time, Now));
        _time.Advance(_settings.Blackout);
        Assert.Equal(200, First.LoadWeight(_settings, _time, Now));
    }

    [Theory]
    [InlineData(0, 100)]
    [InlineData(0.5, 0)]
    [InlineData(-1, 100)]
    [InlineData(double.NaN, 100)]
    [InlineData(double.PositiveInfinity, 100)]
    [Trait("gRFC", "A58")]
    public void LoadWeight_EmptyReport_ChangesNothing(double utilization, double queries)
    {
        First.ReportLoad(new LoadReport(0.25, 10, 0), _settings, Now);
        _time.Advance(_settings.Blackout);
        First.ReportLoad(new LoadReport(utilization, queries, 0), _settings, Now);
        Assert.Equal(40, First.LoadWeight(_settings, _time, Now));
    }

    [Fact]
    [Trait("gRFC", "A58")]
    public void LoadWeight_EndpointThatWasAway_WaitsForABlackoutAgain()
    {
        Picks();
        First.ReportLoad(new LoadReport(0.5, 100, 0), _settings, Now);
        _time.Advance(_settings.Blackout);
        First.ProbeFailing = true;
        Picks();
        First.ProbeFailing = false;
        Picks();
        First.ReportLoad(new LoadReport(0.5, 100, 0), _settings, Now);
        Assert.Equal(0, First.LoadWeight(_settings, _time, Now));
        _time.Advance(_settings.Blackout);
        Assert.Equal(200, First.LoadWeight(_settings, _time, Now));
    }

    private List<BalancedEndpoint> Picks() => [.. Enumerable.Range(0, 100).Select(_ => _balancer.Pick(_random, default, Now)!)];
}
