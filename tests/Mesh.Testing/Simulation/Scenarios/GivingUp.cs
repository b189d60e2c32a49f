using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Callers give up at any moment: while they wait for a connection, an answer, a retry or the rest of a body; others drop answers unread. What is left when all is over?</summary>
/// <param name="Left">Everything that is still held, by name; only what is not zero.</param>
internal sealed record GivingUp(Calls Calls, IReadOnlyDictionary<string, long> Left)
{
    public static GivingUp Run(SimulatedWorld world, int calls)
    {
        SimulatedServer[] servers = [.. Enumerable.Range(1, 4).Select(n => new SimulatedServer(world, n, workers: 6)
        {
            Service = Delays.LogNormal(4, 0.8),
            BodyTime = Delays.Mixed(Delays.None, Delays.Exponential(5), 0.5),
            FailShare = n == 1 ? 0.3 : 0.02,
        })];
        var service = new SimulatedService("catalog")
        {
            Servers = servers,
            Cluster = c => c with { OutlierDetection = new OutlierDetection(5, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(2), 50), ConnectTimeout = TimeSpan.FromMilliseconds(50) },
            Route = r => r with
            {
                Timeout = TimeSpan.FromMilliseconds(300),
                Retry = new RetryPolicy(RetryOn.GatewayError | RetryOn.Reset | RetryOn.ConnectFailure | RetryOn.RefusedStream, 2, TimeSpan.FromMilliseconds(20), TimeSpan.FromMilliseconds(5), TimeSpan.FromMilliseconds(50), []),
            },
        };
        var plain = new SimulatedService("plain") { Servers = servers[1..] };
        var program = new SimulatedProgram(world);
        var timersBefore = world.Time.Timers;
        program.Configure(service, plain);
        var clusters = new[] { program.Cluster(service), program.Cluster(plain) };
        var endpoints = clusters.SelectMany(c => c.Balancer.Endpoints).ToArray();
        const double perSecond = 1000;
        var seconds = calls / perSecond;
        SimulatedLoad[] loads =
        [
            new(program, service.Uri) { CancelShare = 0.2, Patience = Delays.Exponential(6), DropShare = 0.1 },
            new(program, service.Uri) { CancelShare = 0.2, Patience = Delays.Exponential(6), Version = new Version(1, 1) },
            new(program, plain.Uri) { CancelShare = 0.2, Patience = Delays.Uniform(0, 5), DropShare = 0.1, Method = HttpMethod.Post },
        ];
        loads[0].Poisson(perSecond * 0.6, seconds);
        loads[1].Poisson(perSecond * 0.1, seconds);
        loads[2].Poisson(perSecond * 0.3, seconds);
        var victim = servers[world.Random.Next(1, servers.Length)];
        world.At(seconds * (0.1 + (0.3 * world.Random.NextDouble())), victim.Kill);
        world.At(seconds * 0.5, victim.Start);
        world.At(seconds * (0.6 + (0.1 * world.Random.NextDouble())), victim.CutOff);
        world.At(seconds * 0.9, victim.Start);
        world.RunUntil(seconds);
        foreach (var load in loads)
        {
            load.Finish();
        }

        // A reset that is on its way, and a connection that nobody waits for any more, come to their ends.
        world.RunUntil(seconds + 2);
        var all = new Calls();
        foreach (var call in loads.SelectMany(l => l.Calls.All))
        {
            all.Add(call);
        }

        var left = new Dictionary<string, long>
        {
            ["calls in flight to clusters"] = clusters.Sum(c => (long)c.Limit.InFlight),
            ["calls in flight to endpoints"] = endpoints.Sum(e => (long)e.InFlight),
            ["streams"] = world.Network.OpenStreams,
            ["requests waiting for a connection"] = world.Network.Waiting,
            ["requests in servers"] = servers.Sum(s => (long)s.InFlight),
            ["busy workers"] = servers.Sum(s => (long)s.Workers.Busy + s.Workers.Queued),
            ["timers of calls"] = world.Time.Timers - timersBefore,
        };
        program.Dispose();
        left["connections"] = world.Network.OpenConnections;
        left["timers"] = world.Time.Timers;
        return new GivingUp(all, left.Where(l => l.Value != 0).ToDictionary());
    }
}
