using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Two requests in a hundred take 200 ms, whoever serves them; the others about 5.</summary>
/// <param name="Calls">From the third second on: by then the usual latency is known.</param>
/// <param name="LoadRatio">Requests that reached a server, by calls.</param>
/// <param name="Left">Streams, calls in flight and timers at the end.</param>
internal sealed record Hedged(Calls Calls, double LoadRatio, int Left)
{
    private const double Seconds = 10;

    /// <param name="hedging">Null is none.</param>
    public static Hedged Run(SimulatedWorld world, Hedging? hedging)
    {
        SimulatedServer[] servers = [.. Enumerable.Range(1, 5).Select(n => new SimulatedServer(world, n) { Service = Delays.Mixed(Delays.LogNormal(5, 0.2), Delays.Fixed(200), 0.02) })];
        var service = new SimulatedService("catalog")
        {
            Servers = servers,
            Cluster = c => c with { RetryBudget = new RetryBudgetSize(20, 0) },
            Route = r => r with { Hedging = hedging },
        };
        var program = new SimulatedProgram(world);
        var timers = world.Time.Timers;
        program.Configure(service);
        var cluster = program.Cluster(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(150, Seconds);
        world.RunUntil(Seconds);
        load.Finish();
        world.RunUntil(Seconds + 1);
        var left = world.Network.OpenStreams + cluster.Limit.InFlight + cluster.Balancer.Endpoints.Sum(e => e.InFlight) + world.Time.Timers - timers;
        program.Dispose();
        return new Hedged(load.Calls.Between(3, Seconds), servers.Sum(s => s.Arrived) / (double)load.Calls.Count, left);
    }
}
