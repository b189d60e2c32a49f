using Mesh.Config;
using Mesh.Testing.Simulation.Scenarios;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>One of five replicas becomes 200 ms slower.</summary>
public sealed class SlowReplicaTests
{
    [Fact]
    public void PeakEwma_OneReplicaSlow_KeepsTheTailWithinFiveSeconds() => Seeds.Run(200, world =>
    {
        var ran = SlowReplica.Run(world, LoadBalancing.PeakEwma);

        Assert.Equal(0, ran.During.Failed);
        Assert.True(ran.During.P99 <= 1.5 * ran.Healthy.P99, $"p99 is {ran.During.P99:F1} ms, healthy it is {ran.Healthy.P99:F1} ms.");
    });

    [Fact]
    public void RoundRobin_OneReplicaSlow_SuffersTwentyfold() => Seeds.Run(100, world =>
    {
        var ran = SlowReplica.Run(world, LoadBalancing.RoundRobin);

        Assert.True(ran.During.P99 >= 20 * ran.Healthy.P99, $"p99 is {ran.During.P99:F1} ms, healthy it is {ran.Healthy.P99:F1} ms.");
    });
}
