using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using Mesh.Telemetry;
using Microsoft.Extensions.DependencyInjection;

namespace Mesh.Benchmarks;

/// <summary>What metrics, traces and taps cost: the same calls without and with each, in many short slices of random order within one process; then what is counted per call, alone.</summary>
/// <remarks>
/// CPU is that of the whole process, caller and server together, per call. Each slice is held against those of its own round, so that what the machine does besides is on both sides of the ratio.
/// Counting is durations by pair, route and endpoint on both sides, counters of decisions on, and all of it written out once a second, as the export to a control plane that somebody looks at; so are spans and what taps see.
/// </remarks>
internal static class TelemetryBench
{
    private const int Seed = 20_261_130;

    public static async Task<int> RunAsync(TelemetrySettings settings)
    {
        using var scratch = new Scratch();
        var certificates = Certificates.Create(scratch.Path);
        var chance = new Random(Seed);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Epochs} epochs of {settings.Duration.TotalSeconds} s, slices of {settings.Calls} calls, {settings.Concurrency} in flight, {DateTime.UtcNow:yyyy-MM-dd}"));
        var epochs = new List<List<Dictionary<TelemetryMode, Slice>>>();
        for (var epoch = 0; epoch < settings.Epochs; epoch++)
        {
            epochs.Add(await EpochAsync(settings, certificates, chance));
        }

        Console.WriteLine("mode,slices,cpu_us_per_call,ratio_to_off,low_95,high_95,ratio_to_metrics,low_95,high_95,bytes_per_call,bytes_added");
        var bytesOff = Bytes(epochs, TelemetryMode.Off);
        foreach (var mode in TelemetryMode.All)
        {
            var bytes = Bytes(epochs, mode);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{mode.Name},{epochs.Sum(e => e.Count)},{Slices.Median(epochs.SelectMany(e => e).Select(r => r[mode].CpuMicroseconds)):F2},{Against(epochs, mode, TelemetryMode.Off, chance)},{Against(epochs, mode, TelemetryMode.MetricsAlone, chance)},{bytes:F1},{bytes - bytesOff:F1}"));
        }

        Console.WriteLine("recording,threads,ns_median,ns_min,ns_max,bytes");
        Recordings(settings.Epochs);
        return 0;
    }

    /// <returns>By round, what a slice of each mode took.</returns>
    private static async Task<List<Dictionary<TelemetryMode, Slice>>> EpochAsync(TelemetrySettings settings, Certificates certificates, Random chance)
    {
        // In random order too: who came first may lie better in memory.
        TelemetryMode[] modes = [.. TelemetryMode.All];
        chance.Shuffle(modes);
        var pairs = new List<TelemetryPair>();
        var rounds = new List<Dictionary<TelemetryMode, Slice>>();
        try
        {
            foreach (var mode in modes)
            {
                pairs.Add(await TelemetryPair.StartAsync(mode, certificates));
            }

            // What runs often is compiled again, better, and connections find their windows.
            foreach (var pair in Enumerable.Range(0, 5).SelectMany(_ => pairs))
            {
                await pair.CallAsync(settings.Calls, settings.Concurrency);
            }

            TelemetryPair[] turns = [.. pairs, pairs.Single(p => p.Mode == TelemetryMode.Off)];
            var clock = Stopwatch.StartNew();
            while (clock.Elapsed < settings.Duration || rounds.Count == 0)
            {
                chance.Shuffle(turns);
                var round = new Dictionary<TelemetryMode, Slice>();
                foreach (var pair in turns)
                {
                    var slice = await MeasureAsync(pair, settings);
                    // The second of two.
                    round[pair.Mode] = round.TryGetValue(pair.Mode, out var first) ? new Slice((first.CpuMicroseconds + slice.CpuMicroseconds) / 2, slice.Bytes) : slice;
                }

                rounds.Add(round);
            }
        }
        finally
        {
            foreach (var pair in pairs)
            {
                await pair.DisposeAsync();
            }
        }

        return rounds;
    }

    private static async Task<Slice> MeasureAsync(TelemetryPair pair, TelemetrySettings settings)
    {
        var bytes = GC.GetTotalAllocatedBytes(precise: true);
        var cpu = Environment.CpuUsage.TotalTime;
        var isPlain = await pair.CallAsync(settings.Calls, settings.Concurrency);
        var took = Environment.CpuUsage.TotalTime - cpu;
        return new Slice(took.TotalMicroseconds / settings.Calls, isPlain ? (double)(GC.GetTotalAllocatedBytes(precise: true) - bytes) / settings.Calls : null);
    }

    private static string Against(List<List<Dictionary<TelemetryMode, Slice>>> epochs, TelemetryMode mode, TelemetryMode other, Random chance)
    {
        var (ratio, low, high) = Slices.Estimate([.. epochs.Select(e => e.Select(r => r[mode].CpuMicroseconds / r[other].CpuMicroseconds).ToArray())], chance);
        return string.Create(CultureInfo.InvariantCulture, $"{ratio:F3},{low:F3},{high:F3}");
    }

    private static double Bytes(List<List<Dictionary<TelemetryMode, Slice>>> epochs, TelemetryMode mode) =>
        Slices.Median(epochs.SelectMany(e => e).Select(r => r[mode].Bytes).OfType<double>());

    private static void Recordings(int rounds)
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        using var totals = new CounterTotals(meters: meters);
        using var decisions = new DecisionCounter(meters, MeshTags.ServerDecisions);
        var series = new MetricAggregate().Get(MeshTags.ClientCallDuration, new KeyValuePair<string, string>(MeshTags.Destination, "bench"));
        foreach (var threads in (int[])[1, Environment.ProcessorCount])
        {
            Time("a duration", threads, rounds, i => series.Record(TimeSpan.FromTicks(5_000 + (i & 1023)), span: null));
            Time("a decision", threads, rounds, _ => decisions.Count(Decisions.AuthorizationAllowed, "bench/policy/rule"));
        }
    }

    private static void Time(string what, int threads, int rounds, Action<int> record)
    {
        const int Each = 1_000_000;
        var times = new double[rounds];
        long bytes = 0;
        for (var round = -1; round < rounds; round++)
        {
            var allocated = GC.GetTotalAllocatedBytes(precise: true);
            var clock = Stopwatch.StartNew();
            var all = Enumerable.Range(0, threads).Select(_ => new Thread(() =>
            {
                for (var i = 0; i < Each; i++)
                {
                    record(i);
                }
            })).ToArray();
            Array.ForEach(all, t => t.Start());
            Array.ForEach(all, t => t.Join());
            if (round >= 0)
            {
                times[round] = clock.Elapsed.TotalNanoseconds / Each;
                bytes = GC.GetTotalAllocatedBytes(precise: true) - allocated;
            }
        }

        Array.Sort(times);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{what},{threads},{times[rounds / 2]:F1},{times[0]:F1},{times[^1]:F1},{(double)bytes / Each / threads:F2}"));
    }
}
