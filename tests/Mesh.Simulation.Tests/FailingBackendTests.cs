using Mesh.Config;
using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Retries never multiply an overload.</summary>
public sealed class FailingBackendTests
{
    private const double Seconds = 9.5;

    [Fact]
    public void Retries_BackendFailsAlways_LoadItWithAFifthMore() => Seeds.Run(100, world =>
    {
        var ran = FailingBackend.Run(world, depth: 1, perSecond: 200, Seconds, WithoutMinimum);

        Assert.InRange(ran.Loads[0], ran.Offered * 1.15, ran.Offered * 1.2);
    });

    [Fact]
    public void Retries_DefaultBudget_AddsOnlyItsMinimum() => Seeds.Run(10, world =>
    {
        var ran = FailingBackend.Run(world, depth: 1, perSecond: 1000, Seconds, c => c);

        // 10 retries a second, counted over 10 s. All calls end within one such window, so it counts once.
        Assert.InRange(ran.Loads[0], ran.Offered * 1.15, (ran.Offered * 1.2) + 100);
    });

    [Fact]
    public void Retries_ThreeServicesDeep_MultiplyByOnePointTwoEach() => Seeds.Run(60, world =>
    {
        var ran = FailingBackend.Run(world, depth: 3, perSecond: 100, Seconds, WithoutMinimum);

        double offered = ran.Offered;
        foreach (var load in ran.Loads)
        {
            Assert.InRange(load, offered, offered * 1.2);
            offered = load;
        }

        Assert.True(ran.Loads[^1] <= ran.Offered * Math.Pow(1.2, 3), $"{ran.Loads[^1]} requests for {ran.Offered} calls.");
    });

    private static Cluster WithoutMinimum(Cluster cluster) => cluster with { RetryBudget = new RetryBudgetSize(20, 0) };
}
