using Mesh.Config;
using Mesh.Testing.Simulation;

namespace Mesh.Simulation.Tests;

/// <summary>Half of what two servers can do, then twice of it for 30 s, then half again.</summary>
/// <param name="Capacity">Requests a second that the servers' workers can serve.</param>
/// <param name="Goodput">Calls a second that succeeded of those begun in the overload, from its second second on.</param>
/// <param name="MostInServer">Requests in one server at once, those that wait included.</param>
/// <param name="MostInClient">Calls in flight at once.</param>
internal sealed record Overload(Calls Calls, double Capacity, double Goodput, int MostInServer, int MostInClient)
{
    public const double From = 3;
    public const double To = From + 30;
    public const double End = To + 13;
    public const int MaxInClient = 100;
    private const int ServerCount = 2;
    private const int Workers = 4;
    private const double MedianMilliseconds = 40;
    private const double Sigma = 0.3;

    /// <summary>As many as there are workers, and a few that wait for a place up to a fifth of a call's time.</summary>
    public static ServerConcurrency WithQueue { get; } = new(Workers, 2 * Workers, TimeSpan.FromMilliseconds(200));

    /// <summary>A few more than there are workers; the others are refused at once.</summary>
    public static ServerConcurrency WithoutQueue { get; } = new(3 * Workers, 0, TimeSpan.Zero);

    /// <param name="limit">Of each server; null is none.</param>
    public static Overload Run(SimulatedWorld world, ServerConcurrency? limit)
    {
        // Mean of the log-normal distribution.
        var capacity = ServerCount * Workers * 1000 / (MedianMilliseconds * Math.Exp(Sigma * Sigma / 2));
        SimulatedServer[] servers = [.. Enumerable.Range(1, ServerCount).Select(n => new SimulatedServer(world, n, Workers) { Service = Delays.LogNormal(MedianMilliseconds, Sigma) })];
        SimulatedInbound[] inbounds = [.. servers.Select(_ => new SimulatedInbound(world, limit))];
        for (var i = 0; i < servers.Length; i++)
        {
            servers[i].Front = inbounds[i].AnswerAsync;
        }

        var service = new SimulatedService("catalog")
        {
            Servers = servers,
            // As our control plane sends it to who has no policy.
            Cluster = c => c with { MaxRequests = MaxInClient, OutlierDetection = new OutlierDetection(5, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(300), 50) },
            Route = r => r with { Timeout = TimeSpan.FromSeconds(1) },
        };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var load = new SimulatedLoad(program, service.Uri);
        load.Poisson(capacity / 2, From);
        world.At(From, () => load.Poisson(capacity * 2, To));
        world.At(To, () => load.Poisson(capacity / 2, End));
        var most = 0;
        while (world.Time.Elapsed.TotalSeconds < End)
        {
            world.RunUntil(Math.Min(End, world.Time.Elapsed.TotalSeconds + 0.01));
            most = Math.Max(most, program.Cluster(service).Limit.InFlight);
        }

        load.Finish();
        foreach (var inbound in inbounds)
        {
            inbound.Dispose();
        }

        return new Overload(load.Calls, capacity, load.Calls.Between(From + 1, To).Succeeded / (To - From - 1), servers.Max(s => s.MostInFlight), most);
    }
}
