using Mesh.Config;

namespace Mesh.Testing.Simulation.Scenarios;

/// <summary>A chain of services, the last of which fails every request. Each is called by the one before it through the mesh, with the default retries.</summary>
/// <param name="Offered">Calls that the outermost caller made.</param>
/// <param name="Loads">Requests that reached each service, the first of the chain first.</param>
internal sealed record FailingBackend(long Offered, IReadOnlyList<long> Loads)
{
    public static FailingBackend Run(SimulatedWorld world, int depth, double perSecond, double seconds, Func<Cluster, Cluster> cluster)
    {
        SimulatedProgram[] programs = [.. Enumerable.Range(0, depth).Select(_ => new SimulatedProgram(world))];
        SimulatedServer[][] servers = [.. Enumerable.Range(0, depth).Select(at => Enumerable.Range(1, 3)
            .Select(n => new SimulatedServer(world, (at * 10) + n) { Service = Delays.LogNormal(2, 0.3) }).ToArray())];
        SimulatedService[] services = [.. Enumerable.Range(0, depth).Select(at => new SimulatedService($"s{at}") { Servers = servers[at], Cluster = cluster })];
        for (var at = 0; at < depth; at++)
        {
            programs[at].Configure(services[at]);
            foreach (var server in servers[at])
            {
                if (at == depth - 1)
                {
                    server.FailShare = 1;
                    continue;
                }

                var (next, uri) = (programs[at + 1], services[at + 1].Uri);
                server.App = async (exchange, cancellationToken) =>
                {
                    await server.OccupyAsync(exchange, long.MaxValue, cancellationToken).ConfigureAwait(false);
                    using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Version = new Version(2, 0) };
                    using var response = await next.SendAsync(request, cancellationToken).ConfigureAwait(false);
                    await response.Content.CopyToAsync(Stream.Null, cancellationToken).ConfigureAwait(false);
                    return new SimulatedAnswer((int)response.StatusCode);
                };
            }
        }

        var load = new SimulatedLoad(programs[0], services[0].Uri);
        load.Poisson(perSecond, seconds);
        world.RunUntil(seconds);
        load.Finish();
        foreach (var program in programs)
        {
            program.Dispose();
        }

        return new FailingBackend(load.Calls.Count, [.. servers.Select(s => s.Sum(r => r.Arrived))]);
    }
}
