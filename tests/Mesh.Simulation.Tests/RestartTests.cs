using Mesh.Config;
using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>Replicas come and go under load.</summary>
public sealed class RestartTests
{
    private static readonly SlowStart _slowStart = new(TimeSpan.FromSeconds(5), Aggression: 1, MinWeightPercent: 10);

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
    public void Add_Replica_RampsToItsShareWithoutASpike() => Seeds.Run(60, world =>
    {
        var ran = Restarts.Added(world, coldFactor: 1, c => c with { SlowStart = _slowStart });

        Assert.Equal(0, ran.After.Failed);
        Assert.True(ran.After.P99 <= 1.5 * ran.Before.P99, $"p99 is {ran.After.P99:F1} ms with the new one, before it was {ran.Before.P99:F1} ms.");
        // About a sixth, when it has its full weight: peak EWMA lets the last peaks decide.
        Assert.InRange(ran.NewShare, 0.08, 0.28);
    });

    [Fact]
    public void Add_ColdReplica_NoSpike() => Seeds.Run(60, world =>
    {
        var ran = Restarts.Added(world, coldFactor: 10, c => c with { SlowStart = _slowStart });

        Assert.Equal(0, ran.After.Failed);
        Assert.True(ran.After.P99 <= 1.5 * ran.Before.P99, $"p99 is {ran.After.P99:F1} ms with the cold one, before it was {ran.Before.P99:F1} ms.");
    });
}
