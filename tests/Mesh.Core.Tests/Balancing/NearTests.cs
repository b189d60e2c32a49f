using Mesh.Config;
using Xunit;
using static Mesh.Balancing.BalancerFixture;

namespace Mesh.Balancing;

public sealed class NearTests : IDisposable
{
    private static readonly Cluster _near = Cluster() with { PreferNear = true };
    private readonly BalancerFixture _fixture = new(new Locality("eu", "eu-a", ""));

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void Pick_OwnZone_TakesAllWhileItIsHealthy()
    {
        Update();
        Assert.Equal(1, _fixture.Shares()[1]);
        _fixture.Eject(1, 1); // 75 % × 1.4
        Assert.Equal(1, _fixture.Shares()[1]);
        Assert.Empty(_fixture.Decided);
    }

    [Fact]
    public void Pick_OwnZoneHalfDown_SpillsToItsRegionOnly()
    {
        Update();
        _fixture.Eject(1, 1, 2);
        var shares = _fixture.Shares();
        Assert.InRange(shares[1], 0.67, 0.73);
        Assert.Equal(2, shares.Count);
        Assert.InRange(shares[2], 0.27, 0.33);
        Assert.Equal(["failover locality"], _fixture.Decided);
    }

    [Fact]
    public void Pick_OwnZoneGone_GoesToTheRegionThenAnywhere()
    {
        Update(panicThreshold: 0);
        _fixture.Eject(1, 1, 2, 3, 4);
        Assert.Equal(1, _fixture.Shares()[2]);
        _fixture.Eject(2, 1, 2, 3, 4);
        Assert.Equal(1, _fixture.Shares()[3]);
        _fixture.Time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal(1, _fixture.Shares()[1]);
    }

    [Fact]
    public void Pick_TriedAllNear_GoesFurtherAndWithoutFurtherBack()
    {
        _fixture.Update(_near, Locality(1, 1, zone: "eu-a", region: "eu"), Locality(2, 1, region: "eu"));
        var tried = default(TriedEndpoints);
        tried.Add(_fixture.At(1, 1));
        Assert.Same(_fixture.At(2, 1), _fixture.Balancer.Pick(_fixture.Random, tried, _fixture.Now));
        _fixture.Eject(1, 1);
        tried = default;
        tried.Add(_fixture.At(2, 1));
        Assert.NotNull(_fixture.Balancer.Pick(_fixture.Random, tried, _fixture.Now));
    }

    [Fact]
    public void Pick_WithoutPreferNear_DistanceDoesNotMatter()
    {
        _fixture.Update(Cluster(), Locality(1, 4, zone: "eu-a", region: "eu"), Locality(2, 4, region: "us"));
        Assert.InRange(_fixture.Shares()[1], 0.45, 0.55);
    }

    [Theory]
    [InlineData("eu", "eu-a", "", "eu-a", 1.0)] // an endpoint whose region nobody told
    [InlineData("", "eu-a", "eu", "eu-a", 1.0)] // a caller that knows its zone only
    [InlineData("eu", "a", "us", "a", 0.5)] // zones of two regions share a name: none is near
    [InlineData("", "", "", "", 0.5)]
    public void Pick_PlacesKnownInPart_AreComparedAsFarAsTheyGo(string region, string zone, string endpointRegion, string endpointZone, double expected)
    {
        using var fixture = new BalancerFixture(new Locality(region, zone, ""));
        fixture.Update(_near, Locality(1, 4, zone: endpointZone, region: endpointRegion), Locality(2, 4, zone: "else", region: "asia"));
        Assert.InRange(fixture.Shares()[1], expected - 0.05, expected);
    }

    [Fact]
    public void Pick_OwnPlaceUnknown_DistanceDoesNotMatter()
    {
        using var fixture = new BalancerFixture();
        fixture.Update(_near, Locality(1, 4, zone: "eu-a", region: "eu"), Locality(2, 4, region: "us"));
        Assert.InRange(fixture.Shares()[1], 0.45, 0.55);
    }

    [Fact]
    public void Pick_LoadPilesUpNear_SpillsSoThatNearHasTwiceAsMuchAndTenMore()
    {
        _fixture.Update(_near, Locality(1, 1, zone: "eu-a", region: "eu"), Locality(2, 1, region: "eu"), Locality(3, 1, region: "us"));
        // None of them ends.
        for (var i = 0; i < 170; i++)
        {
            _fixture.Pick().AttemptStarted();
        }

        var (near, region, far) = (_fixture.At(1, 1).InFlight, _fixture.At(2, 1).InFlight, _fixture.At(3, 1).InFlight);
        Assert.InRange(near, (NearGroup.Factor * region) + NearGroup.Slack - 1, (NearGroup.Factor * region) + NearGroup.Slack + 1);
        Assert.InRange(region, (NearGroup.Factor * far) + NearGroup.Slack - 1, (NearGroup.Factor * far) + NearGroup.Slack + 1);
        Assert.Equal(["failover locality"], _fixture.Decided);

        // As soon as they have ended, all is near again.
        foreach (var endpoint in _fixture.Balancer.Endpoints)
        {
            while (endpoint.InFlight > 0)
            {
                endpoint.AttemptEnded();
            }
        }

        Assert.Equal(1, _fixture.Shares()[1]);
    }

    [Fact]
    public void Pick_BusyEverywhere_StaysNear()
    {
        Update();
        foreach (var endpoint in _fixture.Balancer.Endpoints)
        {
            for (var i = 0; i < 50; i++)
            {
                endpoint.AttemptStarted();
            }
        }

        Assert.Equal(1, _fixture.Shares()[1]);
    }

    [Fact]
    public void Pick_Panic_StaysNear()
    {
        Update();
        _fixture.Eject(1, 1, 2, 3);
        _fixture.Eject(2, 1, 2, 3, 4);
        _fixture.Eject(3, 1, 2, 3);
        Assert.Equal(1, _fixture.Shares()[1]);
    }

    private void Update(int panicThreshold = 50) => _fixture.Update(
        _near with { PanicThresholdPercent = panicThreshold }, Locality(3, 4, zone: "us-a", region: "us", weight: 100), Locality(2, 4, zone: "eu-b", region: "eu"), Locality(1, 4, zone: "eu-a", region: "eu", weight: 1));
}
