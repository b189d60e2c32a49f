using System.Globalization;
using Mesh.Testing.Simulation;
using Mesh.Traffic;

namespace Mesh.Simulation.Tests;

/// <summary>Four services, one behind the other, whose work together often takes longer than the second that the outermost caller has.</summary>
/// <param name="BegunOverdue">Requests that an app began to serve though its own deadline was over.</param>
/// <param name="LatestBegin">How late work began after the outermost caller had given up: by the true time, of which the news travels.</param>
internal sealed record DeadlineChain(Calls Calls, int BegunOverdue, TimeSpan LatestBegin, TimeSpan Worked, TimeSpan WorkedInVain, long Reached)
{
    private const int Depth = 4;

    // What the simulation knows and the services do not look at: when the outermost caller's time is over.
    private const string WantedUntil = "x-wanted-until";

    public static DeadlineChain Run(SimulatedWorld world, double perSecond, double seconds)
    {
        var limit = TimeSpan.FromSeconds(1);
        SimulatedProgram[] programs = [.. Enumerable.Range(0, Depth).Select(_ => new SimulatedProgram(world))];
        using var inbound = new SimulatedInbound(world);
        // Few workers: requests wait for one, and leave the queue when their time is over.
        SimulatedServer[][] servers = [.. Enumerable.Range(0, Depth).Select(at => Enumerable.Range(1, 2)
            .Select(n => new SimulatedServer(world, (at * 10) + n, workers: 8) { Service = Delays.LogNormal(180, 0.7), Front = inbound.AnswerAsync }).ToArray())];
        SimulatedService[] services = [.. Enumerable.Range(0, Depth).Select(at => new SimulatedService($"s{at}") { Servers = servers[at] })];
        var overdue = 0;
        for (var at = 0; at < Depth; at++)
        {
            programs[at].Configure(services[at]);
            foreach (var server in servers[at])
            {
                var (next, uri) = at + 1 < Depth ? (programs[at + 1], services[at + 1].Uri) : (null, null);
                server.App = async (exchange, cancellationToken) =>
                {
                    overdue += Deadline.Current is null or { IsOver: true } ? 1 : 0;
                    var wanted = exchange.Header(WantedUntil)!;
                    await server.OccupyAsync(exchange, long.Parse(wanted, CultureInfo.InvariantCulture), cancellationToken).ConfigureAwait(false);
                    if (next is null)
                    {
                        return new SimulatedAnswer(200);
                    }

                    using var request = new HttpRequestMessage(HttpMethod.Get, uri) { Version = new Version(2, 0) };
                    request.Headers.TryAddWithoutValidation(WantedUntil, wanted);
                    using var response = await next.SendAsync(request, cancellationToken).ConfigureAwait(false);
                    await response.Content.CopyToAsync(Stream.Null, cancellationToken).ConfigureAwait(false);
                    return new SimulatedAnswer((int)response.StatusCode);
                };
            }
        }

        var load = new SimulatedLoad(programs[0], services[0].Uri)
        {
            Deadline = limit,
            Prepare = request => request.Headers.TryAddWithoutValidation(WantedUntil, (world.Time.GetTimestamp() + limit.Ticks).ToString(CultureInfo.InvariantCulture)),
        };
        load.Poisson(perSecond, seconds);
        world.RunUntil(seconds);
        load.Finish();
        // What the callers left behind ends too.
        world.RunUntil(seconds + 3);
        foreach (var program in programs)
        {
            program.Dispose();
        }

        WorkerPool[] workers = [.. servers.SelectMany(s => s).Select(s => s.Workers)];
        return new DeadlineChain(
            load.Calls,
            overdue,
            workers.Max(w => w.LatestBegin),
            TimeSpan.FromTicks(workers.Sum(w => w.Worked.Ticks)),
            TimeSpan.FromTicks(workers.Sum(w => w.WorkedInVain.Ticks)),
            servers.Sum(s => s.Sum(r => r.Arrived)));
    }
}
