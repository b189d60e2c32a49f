using Mesh.Config;
using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>A second attempt beside one that takes long.</summary>
public sealed class HedgingTests
{
    [Fact]
    public void Hedge_RareSlowAnswers_CutsTheTailWithinTheBudget() => Seeds.Run(20, world =>
    {
        var ran = Hedged.Run(world, new Hedging(95, TimeSpan.FromMilliseconds(5), 2));

        Assert.Equal(0, ran.Calls.Failed);
        Assert.Equal(0, ran.Left);
        // Without a hedge p99 is 200 ms.
        Assert.True(ran.Calls.P99 < 40, $"p99 is {ran.Calls.P99:F1} ms.");
        Assert.InRange(ran.LoadRatio, 1.02, 1.2);
    });

    [Fact]
    public void Hedge_None_LeavesTheTail() => Seeds.Run(20, world =>
    {
        var ran = Hedged.Run(world, hedging: null);

        Assert.True(ran.Calls.P99 > 180, $"p99 is {ran.Calls.P99:F1} ms.");
        Assert.Equal(1, ran.LoadRatio, 3);
    });
}
