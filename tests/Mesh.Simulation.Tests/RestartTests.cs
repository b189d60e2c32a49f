using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Replicas come and go under load.</summary>
public sealed class RestartTests
{
    [Fact]
    public void Kill_IdempotentCalls_NoneFails() => Seeds.Run(300, world =>
    {
        var calls = Restarts.Killed(world);

        Assert.Equal(0, calls.Failed);
        Assert.True(calls.Succeeded > 1500, $"Only {calls.Succeeded} calls.");
    });

    [Fact]
    public void RollingRestart_CallsThatMayNotBeRepeated_NoneFails() => Seeds.Run(300, world =>
    {
        var calls = Restarts.Rolling(world);

        Assert.Equal(0, calls.Failed);
        Assert.True(calls.Succeeded > 1300, $"Only {calls.Succeeded} calls.");
    });
}
