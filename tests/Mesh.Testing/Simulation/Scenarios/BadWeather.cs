using Mesh.Balancing;
using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Endpoints that come and go, all bad at once, a zone away: who gets the calls?</summary>
/// <param name="MostEjected">Endpoints that sat out at once.</param>
/// <param name="Ejected">Ports that ever sat out.</param>
internal sealed record BadWeather(Calls Calls, int MostEjected, IReadOnlySet<int> Ejected)
{
    private const double PerSecond = 200;
    private static readonly OutlierDetection _brief = new(5, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(4), 100);
    private static readonly OutlierDetection _default = new(5, TimeSpan.FromSeconds(30), TimeSpan.FromSeconds(300), 100);

    /// <summary>One of five is bad for 2 s, good for 2 s, four times over; then it is good.</summary>
    public static (BadWeather During, double ShareAfter) Flapping(SimulatedWorld world, LoadBalancing policy)
    {
        var servers = Servers(world, 5);
        var service = Service(servers, _brief with { MaxEjectionPercent = 40 }, policy: policy);
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, 26);
        for (var i = 0; i < 4; i++)
        {
            world.At(1 + (i * 4), () => servers[0].FailShare = 1);
            world.At(3 + (i * 4), () => servers[0].FailShare = 0);
        }

        // The longest ejection has ended after another 4 s, and its penalty is forgotten.
        var during = Watch(world, program, service, load, 21);
        var before = servers[0].Arrived;
        world.RunUntil(26);
        load.Finish();
        return (during, (servers[0].Arrived - before) / (double)load.Calls.Between(21, 26).Count);
    }

    /// <summary>All but one fail every request, and any number may sit out.</summary>
    public static BadWeather OnlyOneWorks(SimulatedWorld world, LoadBalancing policy)
    {
        var servers = Servers(world, 5);
        var service = Service(servers, _default, panicThresholdPercent: 0, policy);
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, 12);
        var good = world.Random.Next(servers.Length);
        world.At(1, () =>
        {
            foreach (var server in servers)
            {
                server.FailShare = server == servers[good] ? 0 : 1;
            }
        });
        var watched = Watch(world, program, service, load, 12);
        load.Finish();
        return watched with { Calls = load.Calls };
    }

    /// <summary>All fail from second 1 to 6, and any number may sit out.</summary>
    public static (BadWeather Whole, long ArrivedDuring) AllBad(SimulatedWorld world, int panicThresholdPercent)
    {
        var servers = Servers(world, 5);
        var service = Service(servers, _brief, panicThresholdPercent);
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, 12);
        world.At(1, () => Array.ForEach(servers, s => s.FailShare = 1));
        world.At(6, () => Array.ForEach(servers, s => s.FailShare = 0));
        var first = Watch(world, program, service, load, 1);
        var before = servers.Sum(s => s.Arrived);
        var second = Watch(world, program, service, load, 6);
        var after = servers.Sum(s => s.Arrived);
        Watch(world, program, service, load, 12);
        load.Finish();
        return (second with { Calls = load.Calls, MostEjected = Math.Max(first.MostEjected, second.MostEjected) }, after - before);
    }

    /// <summary>The caller's zone is used first, another one is there for the worst; the first one loses all its machines from second 2 to 6.</summary>
    /// <returns>Shares of the calls that the first zone had before, while it was away, and from 6 s after.</returns>
    public static (Calls Calls, double Before, double Away, double After) ZoneGone(SimulatedWorld world)
    {
        SimulatedServer[] near = [.. Enumerable.Range(1, 3).Select(n => Server(world, n, "a"))];
        SimulatedServer[] far = [.. Enumerable.Range(11, 3).Select(n => Server(world, n, "b"))];
        var service = Service([.. near, .. far], _brief) with { Zones = zone => (zone == "a" ? 0 : 1, 1) };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(PerSecond, 16);
        world.At(2, () => Array.ForEach(near, s => s.Kill()));
        world.At(6, () => Array.ForEach(near, s => s.Start()));
        var shares = new List<double>();
        foreach (var (from, to) in new[] { (0.0, 2.0), (3.0, 6.0), (12.0, 16.0) })
        {
            world.RunUntil(from);
            var (nearBefore, farBefore) = (near.Sum(s => s.Arrived), far.Sum(s => s.Arrived));
            world.RunUntil(to);
            double nearCalls = near.Sum(s => s.Arrived) - nearBefore;
            shares.Add(nearCalls / (nearCalls + far.Sum(s => s.Arrived) - farBefore));
        }

        load.Finish();
        return (load.Calls, shares[0], shares[1], shares[2]);
    }

    private static BadWeather Watch(SimulatedWorld world, SimulatedProgram program, SimulatedService service, SimulatedLoad load, double until)
    {
        var endpoints = program.Cluster(service).Balancer.Endpoints;
        var most = 0;
        var ever = new HashSet<int>();
        while (world.Time.Elapsed < TimeSpan.FromSeconds(until))
        {
            world.RunUntil(Math.Min(until, world.Time.Elapsed.TotalSeconds + 0.02));
            BalancedEndpoint[] ejected = [.. endpoints.Where(e => e.IsEjected(world.Time.GetTimestamp()))];
            most = Math.Max(most, ejected.Length);
            ever.UnionWith(ejected.Select(e => e.Config.Port));
        }

        return new BadWeather(load.Calls, most, ever);
    }

    private static SimulatedService Service(
        SimulatedServer[] servers, OutlierDetection outliers, int panicThresholdPercent = 50, LoadBalancing policy = LoadBalancing.PeakEwma) => new("catalog")
    {
        Servers = servers,
        Cluster = c => c with { OutlierDetection = outliers, PanicThresholdPercent = panicThresholdPercent, LoadBalancing = policy },
    };

    private static SimulatedServer[] Servers(SimulatedWorld world, int count) => [.. Enumerable.Range(1, count).Select(n => Server(world, n, "a"))];

    private static SimulatedServer Server(SimulatedWorld world, int number, string zone) => new(world, number, zone: zone) { Service = Delays.LogNormal(5, 0.3) };
}
