using Mesh.Config;
using Mesh.Outbound;
using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>A flapping endpoint, all endpoints bad, one zone gone: bounded ejection, panic, spill-over, and never an empty pick.</summary>
public sealed class BadWeatherTests
{
    [Theory]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.PeakEwma)]
    internal void Flapping_OneOfFive_NobodyElseIsEjectedAndItComesBack(LoadBalancing policy) => Seeds.Run(100, world =>
    {
        var (during, shareAfter) = BadWeather.Flapping(world, policy);

        Assert.Equal(0, during.Calls.Failed);
        Assert.InRange(shareAfter, 0.1, 0.3);
        // Peak EWMA avoids it so well that five failures in a row may not come together.
        int[] bad = policy == LoadBalancing.PeakEwma && during.MostEjected == 0 ? [] : [1];
        Assert.Equal(bad, during.Ejected);
        Assert.Equal(bad.Length, during.MostEjected);
    });

    [Theory]
    [InlineData(LoadBalancing.RoundRobin)]
    [InlineData(LoadBalancing.PeakEwma)]
    internal void OnlyOneWorks_WithoutPanic_ItGetsAllCalls(LoadBalancing policy) => Seeds.Run(100, world =>
    {
        var ran = BadWeather.OnlyOneWorks(world, policy);

        Assert.Equal(0, ran.Calls.Refused(MeshErrorCode.NoHealthyEndpoint));
        // Of two that are left, peak EWMA hardly asks the bad one any more.
        Assert.InRange(ran.MostEjected, policy == LoadBalancing.PeakEwma ? 3 : 4, 4);
        // Until then three attempts may meet three bad ones.
        Assert.Equal(0, ran.Calls.Between(2, 12).Failed);
    });

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    public void AllBad_AnyThreshold_CallsGoOutAndRecoverAtOnce(int panicThresholdPercent) => Seeds.Run(100, world =>
    {
        var (ran, arrived) = BadWeather.AllBad(world, panicThresholdPercent);

        Assert.Equal(0, ran.Calls.Refused(MeshErrorCode.NoHealthyEndpoint));
        Assert.Equal(5, ran.MostEjected);
        Assert.True(arrived >= ran.Calls.Between(1, 6).Count - 5, $"{arrived} attempts for {ran.Calls.Between(1, 6).Count} calls.");
        Assert.Equal(0, ran.Calls.Between(6.05, 12).Failed);
    });

    [Fact]
    public void ZoneGone_AnotherPriority_TakesOverAndGivesBack() => Seeds.Run(150, world =>
    {
        var ran = BadWeather.ZoneGone(world);

        Assert.Equal(0, ran.Calls.Refused(MeshErrorCode.NoHealthyEndpoint));
        // Three attempts may meet three dead machines, until five failures in a row have told each of them: at first, and whenever they are let in again.
        Assert.Equal(0, ran.Calls.Between(0, 1.99).Failed + ran.Calls.Between(2.2, 2.95).Failed + ran.Calls.Between(6, 16).Failed);
        Assert.True(ran.Calls.Failed <= 20, $"{ran.Calls.Failed} of {ran.Calls.Count} calls failed while the zone was away.");
        Assert.Equal(1, ran.Before);
        Assert.True(ran.Away < 0.01, $"{ran.Away:P1} of the attempts still reached the zone that is gone.");
        Assert.True(ran.After > 0.99, $"Only {ran.After:P1} of the attempts came back.");
    });
}
