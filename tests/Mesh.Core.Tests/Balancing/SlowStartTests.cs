using Mesh.Balancing.Pickers;
using Mesh.Config;
using Xunit;
using static Mesh.Balancing.BalancerFixture;

namespace Mesh.Balancing;

public sealed class SlowStartTests : IDisposable
{
    private static readonly TimeSpan _window = TimeSpan.FromSeconds(100);
    private readonly BalancerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    // Worked out from Envoy's formula: max(least, (max(1 s, elapsed) ÷ window) ^ (1 ÷ aggression)).
    [Theory]
    [InlineData(1, 10, 0, 0.1)]
    [InlineData(1, 0, 0, 0.01)]
    [InlineData(1, 10, 25, 0.25)]
    [InlineData(2, 10, 25, 0.5)]
    [InlineData(0.5, 10, 50, 0.25)]
    [InlineData(1, 10, 100, 1)]
    [InlineData(1, 10, 1_000, 1)]
    public void Factor_AfterATime_IsThatOfTheFormula(double aggression, int least, int seconds, double expected)
    {
        _fixture.Update(Cluster(), Locality(1, 1));
        var endpoint = _fixture.Pick();
        _fixture.Time.Advance(TimeSpan.FromSeconds(seconds));
        Assert.Equal(expected, new SlowStartRamp(new SlowStart(_window, aggression, least), _fixture.Time).Factor(endpoint, _fixture.Now), 6);
    }

    [Theory]
    [InlineData(LoadBalancing.PeakEwma)]
    [InlineData(LoadBalancing.LeastRequest)]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.WeightedRoundRobin)]
    internal void Pick_NewEndpoint_GrowsToItsShare(LoadBalancing policy)
    {
        Start(policy);
        var shares = new List<double>();
        for (var i = 0; i <= 4; i++)
        {
            shares.Add(Share(5));
            _fixture.Time.Advance(_window / 4);
        }

        // 10, 25, 50, 75, 100 % of what the other four have.
        double[] expected = [0.1 / 4.1, 0.25 / 4.25, 0.5 / 4.5, 0.75 / 4.75, 0.2];
        Assert.All(shares, (share, i) => Assert.InRange(share, expected[i] - 0.03, expected[i] + 0.03));
        Assert.True(shares[0] < shares[1] && shares[1] < shares[2] && shares[2] < shares[3] && shares[3] < shares[4] + 0.01);
    }

    [Theory]
    [InlineData(LoadBalancing.PeakEwma)]
    [InlineData(LoadBalancing.RoundRobin)]
    internal void Pick_EndpointThatComesBack_BeginsAgain(LoadBalancing policy)
    {
        Start(policy);
        _fixture.Time.Advance(_window * 2);
        Assert.InRange(Share(1), 0.17, 0.23);
        _fixture.Eject(1, 1);
        Assert.Equal(0, Share(1));
        _fixture.Time.Advance(TimeSpan.FromMinutes(1));
        Assert.InRange(Share(1), 0.005, 0.06);
        _fixture.Time.Advance(_window);
        Assert.InRange(Share(1), 0.17, 0.23);
    }

    [Theory]
    [InlineData(LoadBalancing.Random)]
    [InlineData(LoadBalancing.RingHash)]
    internal void Pick_OtherPolicies_KnowNoSlowStart(LoadBalancing policy)
    {
        Start(policy);
        Assert.InRange(Share(5), 0.1, 0.3);
    }

    [Fact]
    public void Pick_EverybodyIsNew_SpreadsEvenly()
    {
        _fixture.Update(Cluster() with { SlowStart = new SlowStart(_window, 1, 10) }, Locality(1, 5));
        Assert.All(Enumerable.Range(1, 5), i => Assert.InRange(Share(i), 0.15, 0.25));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(5)]
    [InlineData(10)]
    [Trait("gRFC", "A48")]
    public void LeastRequest_MoreChoices_FindTheIdleEndpointMoreOften(int choices)
    {
        _fixture.Update(Cluster(LoadBalancing.LeastRequest) with { LeastRequestChoices = choices }, Locality(1, 20));
        foreach (var endpoint in _fixture.Balancer.Endpoints.Skip(1))
        {
            endpoint.AttemptStarted();
        }

        // It wins whenever it is drawn: as often as one of `choices` draws meets it.
        var expected = 1 - ((19 / 20.0) * Math.Pow(18 / 19.0, choices - 1));
        Assert.InRange(Share(1), expected - 0.03, expected + 0.03);
    }

    private void Start(LoadBalancing policy)
    {
        var cluster = Cluster(policy) with { SlowStart = new SlowStart(_window, 1, 10) };
        _fixture.Update(cluster, Locality(1, 4));
        _fixture.Pick();
        _fixture.Time.Advance(_window * 3);
        _fixture.Update(cluster, Locality(1, 5));
    }

    private double Share(int number)
    {
        const int Picks = 8_000;
        foreach (var other in _fixture.Balancer.Endpoints)
        {
            other.Latency.Record(TimeSpan.FromMilliseconds(5), _fixture.Now);
        }

        var endpoint = _fixture.At(1, number);
        return Enumerable.Range(0, Picks).Count(_ => ReferenceEquals(endpoint, _fixture.Pick())) / (double)Picks;
    }
}
