using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Equal keys meet the same endpoint, as long as it is there.</summary>
public sealed class RingHashTests
{
    private const int Keys = 400;
    private const double RingEntries = 1024;

    [Fact]
    [Trait("gRFC", "A42")]
    public void RingHash_OneEndpointLeaves_ItsKeysMove() => Seeds.Run(200, world =>
    {
        var ran = HashedCalls.Run(world, Keys);

        Assert.Equal(0, ran.Unserved);
        var share = 1.0 / ran.Endpoints;
        // An endpoint has 1024 / n entries at random places of the ring: its part of the ring deviates by 1/n × √(n / 1024).
        var ofPlaces = share * Math.Sqrt(ran.Endpoints / RingEntries);
        Assert.True(ran.Left <= share + (5 * (ofPlaces + OfSample(share))), $"{ran.Left:P1} of the keys were with one of {ran.Endpoints} endpoints.");

        // gRFC A42 keeps the ring as large with fewer endpoints, so those that stay get more entries each, and these draw keys from one another: as many as the new entries are of all.
        // Of 10 endpoints each has 103 entries, of 9 it has 114.
        var (old, now) = (Math.Ceiling(RingEntries / ran.Endpoints), Math.Ceiling(RingEntries / (ran.Endpoints - 1)));
        var newEntries = (now - old) / now;
        Assert.True(ran.Drawn <= newEntries + (5 * OfSample(newEntries)), $"{ran.Drawn:P1} of the keys moved between endpoints that stayed, {newEntries:P1} of the entries were new.");
    });

    private static double OfSample(double share) => Math.Sqrt(share * (1 - share) / Keys);
}
