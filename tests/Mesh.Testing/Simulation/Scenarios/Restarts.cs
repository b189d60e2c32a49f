using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Five replicas under load, one of which goes away; what was configured follows later, as from a control plane.</summary>
internal static class Restarts
{
    private const double PerSecond = 300;
    private const double End = 6;

    // From an event to the new endpoints: a control plane takes its time.
    private const double Notice = 0.7;

    /// <summary>Two processes die at random moments, and come back.</summary>
    public static Calls Killed(SimulatedWorld world)
    {
        var servers = Servers(world);
        var service = new SimulatedService("catalog") { Servers = servers };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri) { Method = world.Random.Next(3) switch { 0 => HttpMethod.Put, 1 => HttpMethod.Delete, _ => HttpMethod.Get } };
        load.Poisson(PerSecond, End);
        var first = world.Random.Next(servers.Length);
        var second = (first + 1 + world.Random.Next(servers.Length - 1)) % servers.Length;
        foreach (var (victim, at) in new[] { (servers[first], 1 + world.Random.NextDouble()), (servers[second], 3.5 + world.Random.NextDouble()) })
        {
            world.At(at, victim.Kill);
            world.At(at + Notice, () => program.Configure(service with { Servers = [.. servers.Where(s => s != victim)] }));
            world.At(at + 1.2, victim.Start);
            world.At(at + 1.2 + Notice, () => program.Configure(service));
        }

        world.RunUntil(End);
        load.Finish();
        return load.Calls;
    }

    /// <summary>A rolling restart: each replica in turn is taken out, drains, and comes back cold. The calls are not idempotent.</summary>
    public static Calls Rolling(SimulatedWorld world)
    {
        var servers = Servers(world);
        var service = new SimulatedService("catalog") { Servers = servers };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri) { Method = HttpMethod.Post };
        var end = 0.5 + servers.Length;
        load.Poisson(PerSecond, end);
        for (var i = 0; i < servers.Length; i++)
        {
            var (server, at) = (servers[i], 0.5 + i + (world.Random.NextDouble() / 10));
            world.At(at, server.Drain);
            // Either may be first: the stop, or the notice of it.
            world.At(at + (world.Random.NextDouble() / 10), () => program.Configure(service with { Servers = [.. servers.Where(s => s != server)] }));
            world.At(at + 0.2, server.Kill);
            world.At(at + 0.5, server.Start);
            world.At(at + 0.6, () => program.Configure(service));
        }

        world.RunUntil(end);
        load.Finish();
        return load.Calls;
    }

    /// <summary>A sixth replica comes, whose first requests take ten times as long.</summary>
    /// <returns>Calls before, and from the moment it is known.</returns>
    public static (Calls Before, Calls After, double NewShare) Added(SimulatedWorld world, Func<Cluster, Cluster> cluster)
    {
        var servers = Servers(world);
        var service = new SimulatedService("catalog") { Servers = servers, Cluster = cluster };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, 20);
        world.RunUntil(5);
        var cold = new SimulatedServer(world, 99, workers: 8) { Service = servers[0].Service, ColdRequests = 10, ColdFactor = 10 };
        program.Configure(service with { Servers = [.. servers, cold] });
        world.RunUntil(20);
        load.Finish();
        return (load.Calls.Between(0.5, 5), load.Calls.Between(5, 20), cold.Arrived / (PerSecond * 15));
    }

    private static SimulatedServer[] Servers(SimulatedWorld world) =>
        [.. Enumerable.Range(1, 5).Select(n => new SimulatedServer(world, n, workers: 8) { Service = Delays.LogNormal(5, 0.3) })];
}
