using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Five replicas answer in about 5 ms; then one of them takes 200 ms longer.</summary>
/// <param name="Healthy">Calls while all are well.</param>
/// <param name="During">Calls from 5 s after one became slow.</param>
internal sealed record SlowReplica(Calls Healthy, Calls During)
{
    public const double PerSecond = 200;
    private const double SlowFrom = 5;
    private const double End = 15;

    public static SlowReplica Run(SimulatedWorld world, LoadBalancing policy)
    {
        SimulatedServer[] servers = [.. Enumerable.Range(1, 5).Select(n => new SimulatedServer(world, n) { Service = Delays.LogNormal(5, 0.1) })];
        var service = new SimulatedService("catalog") { Servers = servers, Cluster = c => c with { LoadBalancing = policy } };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, End);
        world.At(SlowFrom, () => servers[world.Random.Next(servers.Length)].Service = Delays.LogNormal(5, 0.1).Plus(200));
        world.RunUntil(End);
        load.Finish();
        return new SlowReplica(load.Calls.Between(0.5, SlowFrom), load.Calls.Between(SlowFrom + 5, End));
    }
}
