using System.Globalization;

namespace Mesh.Benchmarks.Plane;

/// <summary>A simulated mesh around one real control plane: from a changed endpoint to the last client that watches it, what that costs, and what a restart costs when all come back at once.</summary>
internal static class PlaneBench
{
    public static async Task<int> RunAsync(PlaneSettings settings)
    {
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"# {Environment.ProcessorCount} processors for control plane and clients together, load {Load()}, .NET {Environment.Version}, {DateTime.UtcNow:yyyy-MM-dd}"));
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"# {settings.Services} services x {settings.Endpoints} endpoints, {settings.Clients} clients x {settings.Watch} services, {settings.Rate} changes/s for {settings.Duration.TotalSeconds} s, {settings.Repetitions} repetitions, {(settings.Tls ? "mutual TLS" : "plaintext")}, {settings.Source} source"));
        Console.WriteLine("variant,measure,median,min,max");
        var wrong = new List<string>();
        var all = new Dictionary<string, List<IReadOnlyDictionary<string, double>>>();
        for (var i = 0; i < settings.Repetitions; i++)
        {
            // In turn, so that what else the machine does falls on both.
            foreach (var variant in settings.Variants)
            {
                using var scratch = new Scratch();
                var run = new PlaneRun(settings, variant == "delta");
                if (!all.TryGetValue(variant, out var runs))
                {
                    all[variant] = runs = [];
                }

                runs.Add(await run.RunAsync(scratch.Path));
                wrong.AddRange(run.Wrong);
            }
        }

        foreach (var (variant, runs) in all)
        {
            foreach (var measure in runs[0].Keys)
            {
                Print(variant, measure, [.. runs.Select(r => r[measure]).Order()]);
            }
        }

        if (all.Count == 2)
        {
            foreach (var measure in (string[])["bytes_per_change", "bytes_both_ways_per_change", "bytes_both_ways_per_resource", "cpu_ms_per_change", "first_bytes_per_client"])
            {
                double[] ratios = [.. all["delta"].Zip(all["sotw"], (d, s) => d[measure] / s[measure]).Order()];
                Print("delta/sotw", measure, ratios);
                // By resource: how many changes come together depends on what else the machine does.
                if (measure == "bytes_both_ways_per_resource" && ratios[^1] >= 1)
                {
                    wrong.Add("delta took no fewer bytes than state of the world");
                }
            }
        }

        Console.WriteLine($"# load at the end {Load()}");
        wrong.ForEach(w => Console.Error.WriteLine($"WRONG: {w}"));
        return wrong.Count == 0 ? 0 : 1;
    }

    private static void Print(string variant, string measure, double[] sorted) =>
        Console.WriteLine(string.Join(',', variant, measure, Text(sorted[sorted.Length / 2]), Text(sorted[0]), Text(sorted[^1])));

    private static string Text(double value) => value.ToString(value < 10 ? "F2" : "F1", CultureInfo.InvariantCulture);

    private static string Load() => File.Exists("/proc/loadavg") ? File.ReadAllText("/proc/loadavg").Split(' ')[0] : "unknown";
}
