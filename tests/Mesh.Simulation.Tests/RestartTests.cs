using Mesh.Config;
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

    [Fact]
    public void Add_ColdReplica_RampsWithoutASpike() => Seeds.Run(100, world =>
    {
        var ran = Restarts.Added(world, c => c with { SlowStart = new SlowStart(TimeSpan.FromSeconds(5), 1, 10) });

        Assert.Equal(0, ran.After.Failed);
        Assert.True(ran.After.P99 <= 1.5 * ran.Before.P99, $"p99 is {ran.After.P99:F1} ms with the new one, before it was {ran.Before.P99:F1} ms.");
        // At its full weight it would have a sixth; the last ten seconds are at it.
        Assert.InRange(ran.NewShare, 0.08, 0.17);
    });
}
