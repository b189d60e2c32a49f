using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Retries never multiply an overload.</summary>
public sealed class FailingBackendTests
{
    // The budget's minimum: 10 retries a second, counted over 10 s. All calls end within one such window, so it counts once.
    private const double Seconds = 9.5;
    private const double Minimum = 100;

    [Fact]
    public void Retries_BackendFailsAlways_LoadItWithAFifthMore() => Seeds.Run(20, world =>
    {
        var ran = FailingBackend.Run(world, depth: 1, perSecond: 1000, Seconds, c => c);

        Assert.InRange(ran.Loads[0], ran.Offered, (1.2 * ran.Offered) + Minimum);
        Assert.True(ran.Loads[0] > 1.15 * ran.Offered, $"Only {ran.Loads[0]} of {ran.Offered}: the budget was not used.");
    });

    [Fact]
    public void Retries_ThreeServicesDeep_MultiplyByOnePointTwoEach() => Seeds.Run(6, world =>
    {
        var ran = FailingBackend.Run(world, depth: 3, perSecond: 500, Seconds, c => c);

        double offered = ran.Offered;
        foreach (var load in ran.Loads)
        {
            Assert.InRange(load, offered, (1.2 * offered) + Minimum);
            offered = load;
        }
    });
}
