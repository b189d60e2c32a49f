using System.Globalization;
using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>Calls with a key each to a cluster that goes by the key's hash; then one endpoint leaves.</summary>
/// <param name="Endpoints">Before.</param>
/// <param name="Left">Share of the keys whose endpoint left.</param>
/// <param name="Drawn">Share of the keys whose endpoint stayed, but that another one serves now.</param>
/// <param name="Unserved">Keys that had no answer the second time.</param>
internal sealed record HashedCalls(int Endpoints, double Left, double Drawn, int Unserved)
{
    private const string Key = "x-user";
    private const string Server = "x-server";

    public static HashedCalls Run(SimulatedWorld world, int keys)
    {
        SimulatedServer[] servers = [.. Enumerable.Range(0, 4 + world.Random.Next(13)).Select(_ => NewServer(world))];
        var service = new SimulatedService("catalog")
        {
            Servers = servers,
            Cluster = c => c with { LoadBalancing = LoadBalancing.RingHash },
            Route = r => r with { HashPolicies = [new HashPolicy(Key, Terminal: false)] },
        };
        using var program = new SimulatedProgram(world);
        program.Configure(service);
        var before = Ask(world, program, service, keys);
        var leaves = servers[world.Random.Next(servers.Length)];
        program.Configure(service with { Servers = [.. servers.Where(s => s != leaves)] });
        var after = Ask(world, program, service, keys);
        var drawn = before.Count(b => b.Value != leaves.HostPort && after.GetValueOrDefault(b.Key) != b.Value);
        return new HashedCalls(servers.Length, before.Count(b => b.Value == leaves.HostPort) / (double)keys, drawn / (double)keys, keys - after.Count);
    }

    /// <returns>Who served each key.</returns>
    private static Dictionary<string, string> Ask(SimulatedWorld world, SimulatedProgram program, SimulatedService service, int keys)
    {
        var served = new Dictionary<string, string>(StringComparer.Ordinal);
        var next = 0;
        var load = new SimulatedLoad(program, service.Uri)
        {
            Prepare = request => request.Headers.Add(Key, string.Create(CultureInfo.InvariantCulture, $"user-{next++}")),
            Observe = (request, response) => served[request.Headers.GetValues(Key).Single()] = response.Headers.GetValues(Server).Single(),
        };
        for (var i = 0; i < keys; i++)
        {
            load.Begin();
        }

        load.Finish();
        return served;
    }

    private static SimulatedServer NewServer(SimulatedWorld world)
    {
        SimulatedServer server;
        do
        {
            var port = world.Random.Next(1, 65536);
            server = world.Network.Find($"10.0.0.1:{port}") is null ? new SimulatedServer(world, port) : null!;
        }
        while (server is null);

        KeyValuePair<string, string>[] name = [new(Server, server.HostPort)];
        server.App = async (exchange, cancellationToken) =>
        {
            await server.OccupyAsync(exchange, long.MaxValue, cancellationToken).ConfigureAwait(false);
            return new SimulatedAnswer(200, name);
        };
        return server;
    }
}
