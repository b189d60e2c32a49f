using System.Globalization;
using Mesh.Config;
using Mesh.Testing.Simulation;
using Mesh.Testing.Simulation.Scenarios;

namespace Mesh.Benchmarks;

/// <summary>What the simulation's tests assert, as numbers: the real core on virtual time, so these do not depend on the machine. Each figure is the median over the seeds.</summary>
internal static class SimBench
{
    private static readonly LoadBalancing[] _policies = [LoadBalancing.PeakEwma, LoadBalancing.LeastRequest, LoadBalancing.RoundRobin, LoadBalancing.Random];

    public static int Run(int seeds)
    {
        Console.WriteLine($"# {seeds} seeds, medians; virtual time");
        Console.WriteLine("scenario,variant,measure,value");
        foreach (var policy in _policies)
        {
            var runs = Each(seeds, world => SlowReplica.Run(world, policy));
            Print("5 replicas at 5 ms", policy, "p50_ms", runs.Select(r => r.Healthy.P50));
            Print("5 replicas at 5 ms", policy, "p99_ms", runs.Select(r => r.Healthy.P99));
            Print("1 of 5 at +200 ms", policy, "p50_ms", runs.Select(r => r.During.P50));
            Print("1 of 5 at +200 ms", policy, "p99_ms", runs.Select(r => r.During.P99));
            Print("1 of 5 at +200 ms", policy, "p99_ratio", runs.Select(r => r.During.P99 / r.Healthy.P99));
        }

        var failing = Each(Math.Min(seeds, 5), world => FailingBackend.Run(world, 3, 500, 9.5, c => c));
        for (var depth = 0; depth < 3; depth++)
        {
            var at = depth;
            Print("last of three services fails always", $"service {at + 1}", "load_ratio", failing.Select(r => (double)r.Loads[at] / r.Offered));
        }

        var killed = Each(seeds, Restarts.Killed);
        Print("2 of 5 processes killed", LoadBalancing.PeakEwma, "failed_calls", killed.Select(c => (double)c.Failed));
        Print("2 of 5 processes killed", LoadBalancing.PeakEwma, "p99_ms", killed.Select(c => c.P99));
        var rolling = Each(seeds, Restarts.Rolling);
        Print("rolling restart of 5", LoadBalancing.PeakEwma, "failed_calls", rolling.Select(c => (double)c.Failed));
        foreach (var (name, slowStart) in new[] { ("at once", (SlowStart?)null), ("slow start 5 s", new SlowStart(TimeSpan.FromSeconds(5), 1, 10)) })
        {
            foreach (var policy in new[] { LoadBalancing.PeakEwma, LoadBalancing.RoundRobin })
            {
                var added = Each(seeds, world => Restarts.Added(world, 10, c => c with { LoadBalancing = policy, SlowStart = slowStart }));
                Print("cold replica added", $"{policy} {name}", "p99_ratio", added.Select(r => r.After.P99 / r.Before.P99));
                Print("cold replica added", $"{policy} {name}", "share_percent", added.Select(r => r.NewShare * 100));
            }
        }

        foreach (var (name, hedging) in new[] { ("no hedge", (Hedging?)null), ("hedge after p95", new Hedging(95, TimeSpan.FromMilliseconds(5), 2)) })
        {
            var hedged = Each(Math.Min(seeds, 10), world => Hedged.Run(world, hedging));
            Print("2 % of the answers take 200 ms", name, "p50_ms", hedged.Select(h => h.Calls.P50));
            Print("2 % of the answers take 200 ms", name, "p99_ms", hedged.Select(h => h.Calls.P99));
            Print("2 % of the answers take 200 ms", name, "load_ratio", hedged.Select(h => h.LoadRatio));
        }

        return 0;
    }

    private static T[] Each<T>(int seeds, Func<SimulatedWorld, T> scenario) => [.. Enumerable.Range(1, seeds).Select(seed => SimulatedWorld.Run(seed, scenario))];

    private static void Print(string scenario, LoadBalancing policy, string measure, IEnumerable<double> values) => Print(scenario, policy.ToString(), measure, values);

    private static void Print(string scenario, string variant, string measure, IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{scenario},{variant},{measure},{sorted[sorted.Length / 2]:F2}"));
    }
}
