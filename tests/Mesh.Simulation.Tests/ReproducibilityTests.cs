using Mesh.Config;
using Mesh.Testing.Simulation;
using Xunit;

namespace Mesh.Simulation.Tests;

/// <summary>What makes the other tests worth anything: a seed is the whole of a run.</summary>
public sealed class ReproducibilityTests
{
    [Fact]
    public void Run_SameSeedTwice_LeavesTheSameTrace()
    {
        var first = SimulatedWorld.Run(7, Everything);
        var second = SimulatedWorld.Run(7, Everything);
        var other = SimulatedWorld.Run(8, Everything);

        Assert.Equal(first, second);
        Assert.NotEqual(first.Hash, other.Hash);
        Assert.True(first.Events > 5_000, $"Only {first.Events} events.");
    }

    /// <summary>Timeouts, retries, ejections, cancelled callers, killed and cut off servers in one run.</summary>
    private static (ulong Hash, long Events, long Fired, int Good, int Failed, int Cancelled) Everything(SimulatedWorld world)
    {
        SimulatedServer[] servers = [.. Enumerable.Range(1, 5).Select(n => new SimulatedServer(world, n, workers: 4) { Service = Delays.LogNormal(5, 0.5), BodyTime = Delays.Exponential(2) })];
        servers[0].FailShare = 0.2;
        var service = new SimulatedService("catalog")
        {
            Servers = servers,
            Cluster = c => c with { OutlierDetection = new OutlierDetection(3, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(10), 50), ConnectTimeout = TimeSpan.FromMilliseconds(100) },
            Route = r => r with
            {
                Timeout = TimeSpan.FromMilliseconds(500),
                Retry = new RetryPolicy(RetryOn.GatewayError | RetryOn.Reset | RetryOn.ConnectFailure, 2, TimeSpan.FromMilliseconds(40), TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(80), []),
            },
        };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri) { CancelShare = 0.1, Patience = Delays.Exponential(5), DropShare = 0.05 };
        var http1 = new SimulatedLoad(program, service.Uri) { Version = new Version(1, 1), CancelShare = 0.1, Patience = Delays.Exponential(5) };
        load.Poisson(400, until: 5);
        http1.Poisson(50, until: 5);
        world.At(1, servers[1].Kill);
        world.At(2, servers[1].Start);
        world.At(2.5, servers[2].CutOff);
        world.At(3.5, servers[2].Start);
        world.RunUntil(5);
        load.Finish();
        http1.Finish();
        return (world.Trace.Hash, world.Trace.Count, world.Time.Fired, load.Calls.Succeeded, load.Calls.Failed, load.Calls.Cancelled);
    }
}
