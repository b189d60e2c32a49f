using System.Diagnostics;
using System.Globalization;
using Mesh.Balancing;
using Mesh.Config;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Benchmarks;

/// <summary>What one pick costs: every policy at some numbers of endpoints, each in turn with a random choice by weight as baseline.</summary>
internal static class PickBench
{
    private static readonly LoadBalancing[] _policies =
    [
        LoadBalancing.PeakEwma, LoadBalancing.LeastRequest, LoadBalancing.RoundRobin, LoadBalancing.WeightedRoundRobin, LoadBalancing.RingHash, LoadBalancing.PickFirst,
    ];

    public static int Run(PickSettings settings)
    {
        Console.WriteLine($"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Rounds} rounds of {settings.Duration.TotalMilliseconds} ms, {DateTime.UtcNow:yyyy-MM-dd}");
        Console.WriteLine("endpoints,policy,ns_per_pick_median,random_ns_median,ratio_median,ratio_min,ratio_max,bytes_per_pick");
        foreach (var endpoints in settings.Endpoints)
        {
            var random = Balancer(LoadBalancing.Random, endpoints);
            foreach (var policy in _policies)
            {
                var balancer = Balancer(policy, endpoints);
                Measure(random, settings.Duration);
                Measure(balancer, settings.Duration);
                var rounds = new List<(Measured Random, Measured Policy)>();
                for (var i = 0; i < settings.Rounds; i++)
                {
                    rounds.Add((Measure(random, settings.Duration), Measure(balancer, settings.Duration)));
                }

                double[] ratios = [.. rounds.Select(r => r.Policy.Nanoseconds / r.Random.Nanoseconds).Order()];
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{endpoints},{policy},{Median(rounds.Select(r => r.Policy.Nanoseconds)):F1},{Median(rounds.Select(r => r.Random.Nanoseconds)):F1},{Median(ratios):F2},{ratios[0]:F2},{ratios[^1]:F2},{Median(rounds.Select(r => r.Policy.Bytes)):F2}"));
            }
        }

        return 0;
    }

    /// <summary>Endpoints that have been called before: their latencies differ, and some have calls in flight.</summary>
    private static ClusterBalancer Balancer(LoadBalancing policy, int count)
    {
        var time = TimeProvider.System;
        var chance = new Random(1);
        var balancer = new ClusterBalancer("bench", static (endpoint, latency) => new BalancedEndpoint(endpoint, latency), time, NullLogger<ClusterBalancer>.Instance, new Random(1));
        Endpoint[] endpoints = [.. Enumerable.Range(0, count).Select(i => new Endpoint($"10.0.{i / 250}.{i % 250}", 80, 1, Healthy: true))];
        balancer.Update(
            new Cluster("bench", "bench", TimeSpan.FromSeconds(5)) { LoadBalancing = policy },
            new LoadAssignment("bench", [new LocalityEndpoints(new Locality("", "", ""), 0, 1, endpoints)]));
        foreach (var endpoint in balancer.Endpoints)
        {
            endpoint.Latency.Record(TimeSpan.FromMilliseconds(1 + (chance.NextDouble() * 10)), time.GetTimestamp());
            for (var inFlight = chance.Next(3); inFlight > 0; inFlight--)
            {
                endpoint.AttemptStarted();
            }
        }

        return balancer;
    }

    private static Measured Measure(ClusterBalancer balancer, TimeSpan duration)
    {
        const int batch = 1000;
        var random = new Random(1);
        var picks = 0;
        var now = TimeProvider.System.GetTimestamp();
        var bytes = GC.GetAllocatedBytesForCurrentThread();
        var clock = Stopwatch.StartNew();
        do
        {
            for (var i = 0; i < batch; i++)
            {
                balancer.Pick(random, default, now, (ulong)i * 0x9E3779B97F4A7C15);
            }

            picks += batch;
        }
        while (clock.Elapsed < duration);

        var elapsed = clock.Elapsed;
        return new Measured(elapsed.TotalNanoseconds / picks, (GC.GetAllocatedBytesForCurrentThread() - bytes) / (double)picks);
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    private readonly record struct Measured(double Nanoseconds, double Bytes);
}

/// <summary>How long and for how many endpoints to measure.</summary>
internal sealed record PickSettings(int Rounds, TimeSpan Duration, int[] Endpoints)
{
    public static PickSettings Parse(string[] args)
    {
        var settings = new PickSettings(9, TimeSpan.FromMilliseconds(100), [5, 100, 1000]);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var value = args[i + 1];
            settings = args[i] switch
            {
                "--rounds" => settings with { Rounds = Math.Clamp(int.Parse(value, CultureInfo.InvariantCulture), 1, 99) },
                "--seconds" => settings with { Duration = TimeSpan.FromSeconds(Math.Clamp(double.Parse(value, CultureInfo.InvariantCulture), 0.001, 30)) },
                "--endpoints" => settings with { Endpoints = [.. value.Split(',').Select(c => Math.Clamp(int.Parse(c, CultureInfo.InvariantCulture), 1, 10_000))] },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        return settings;
    }
}
