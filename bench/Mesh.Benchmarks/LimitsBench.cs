using System.Diagnostics;
using System.Globalization;
using System.Threading.RateLimiting;
using Mesh.Config;
using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Resilience;

namespace Mesh.Benchmarks;

/// <summary>What a rate limit per caller and a concurrency limit cost the server: the same hop through Mesh without and with both, in turn; then the decisions alone, beside what .NET brings.</summary>
internal static class LimitsBench
{
    private const string Caller = "spiffe://cluster.local/ns/bench/sa/client";

    /// <summary>Wide enough to refuse nothing: an answer of 429 costs less than one of the app.</summary>
    public static InboundLimits Wide { get; } = new()
    {
        RateLimits = [new RateLimit("per-caller", 1_000_000, TimeSpan.FromSeconds(1), 1_000_000, RateLimitScope.Caller, null, [])],
        Concurrency = new ServerConcurrency(10_000, 1_000, TimeSpan.FromSeconds(1)),
    };

    public static async Task<int> RunAsync(HopSettings settings)
    {
        using var scratch = new Scratch();
        var certificates = Certificates.Create(scratch.Path);
        await using var openServer = await HopProcess.StartAsync("mesh", scratch.Path);
        await using var limitedServer = await HopProcess.StartAsync("limits", scratch.Path);
        await using var open = await HopClients.MeshAsync(openServer.Port, certificates);
        await using var limited = await HopClients.MeshAsync(limitedServer.Port, certificates);
        Console.WriteLine($"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Pairs} pairs of {settings.Duration.TotalSeconds} s, {DateTime.UtcNow:yyyy-MM-dd}");
        Console.WriteLine("concurrency,measure,none_median,limits_median,ratio_median,ratio_min,ratio_max");
        foreach (var concurrency in settings.Concurrency)
        {
            await HopBench.MeasureAsync(open.Client, openServer, concurrency, settings.Duration);
            await HopBench.MeasureAsync(limited.Client, limitedServer, concurrency, settings.Duration);
            var pairs = new List<(HopBench.Measured, HopBench.Measured)>();
            for (var i = 0; i < settings.Pairs; i++)
            {
                pairs.Add((
                    await HopBench.MeasureAsync(open.Client, openServer, concurrency, settings.Duration),
                    await HopBench.MeasureAsync(limited.Client, limitedServer, concurrency, settings.Duration)));
            }

            HopBench.Print(concurrency, "cpu_us_per_request", pairs, m => m.CpuMicroseconds);
            HopBench.Print(concurrency, "server_bytes_per_request", pairs, m => m.ServerBytes);
            HopBench.Print(concurrency, "requests_per_second", pairs, m => m.RequestsPerSecond);
            HopBench.Print(concurrency, "p99_us", pairs, m => m.P99);
        }

        Decisions(settings.Duration);
        return 0;
    }

    private static void Decisions(TimeSpan duration)
    {
        var limits = new RequestLimits(
            [new RateLimitRule(Wide.RateLimits[0], new LocalRateLimiter(int.MaxValue, TimeSpan.FromSeconds(1), int.MaxValue, TimeProvider.System))],
            [new ConcurrencyGate(Wide.Concurrency!, TimeProvider.System)]);
        var gate = new ConcurrencyGate(Wide.Concurrency!, TimeProvider.System);
        using var limiter = new ConcurrencyLimiter(new ConcurrencyLimiterOptions { PermitLimit = Wide.Concurrency!.MaxRequests, QueueLimit = Wide.Concurrency.MaxQueue });
        var random = new Random(1);
        Console.WriteLine("decision,threads,ns_per_call,bytes_per_call");
        foreach (var threads in (int[])[1, 2])
        {
            Decision("rate limit of a known caller, then a place", threads, duration, () =>
            {
                if (limits.Charge(null, Caller, random) is null && IsDone(limits.EnterAsync(null, CancellationToken.None)))
                {
                    limits.Exit();
                }
            });
            Decision("a place, ConcurrencyGate", threads, duration, () =>
            {
                if (gate.TryEnter())
                {
                    gate.Exit();
                }
            });
            Decision("a place, System.Threading.RateLimiting.ConcurrencyLimiter", threads, duration, () => limiter.AttemptAcquire().Dispose());
        }
    }

    private static bool IsDone(ValueTask<Admission> entering) => entering.IsCompletedSuccessfully;

    public static void Decision(string what, int threads, TimeSpan duration, Action decide)
    {
        const int batch = 10_000;
        for (var i = 0; i < batch; i++)
        {
            decide();
        }

        var (calls, bytes) = (0L, 0L);
        var clock = Stopwatch.StartNew();
        Thread[] all = [.. Enumerable.Range(0, threads).Select(_ => new Thread(() =>
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            var own = 0L;
            while (clock.Elapsed < duration)
            {
                for (var i = 0; i < batch; i++)
                {
                    decide();
                }

                own += batch;
            }

            Interlocked.Add(ref bytes, GC.GetAllocatedBytesForCurrentThread() - before);
            Interlocked.Add(ref calls, own);
        }))];
        foreach (var thread in all)
        {
            thread.Start();
        }

        foreach (var thread in all)
        {
            thread.Join();
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what},{threads},{clock.Elapsed.TotalNanoseconds * threads / calls:F1},{(double)bytes / calls:F1}"));
    }
}
