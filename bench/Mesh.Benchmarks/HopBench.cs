using System.Diagnostics;
using System.Globalization;

namespace Mesh.Benchmarks;

/// <summary>One hop, two processes on loopback, 256 B answers over HTTP/2 and mutual TLS 1.3: plain HttpClient and Kestrel, then the same through Mesh, in turn.</summary>
internal static class HopBench
{
    public static async Task<int> RunAsync(HopSettings settings)
    {
        using var scratch = new Scratch();
        var certificates = Certificates.Create(scratch.Path);
        await using var plainServer = await HopProcess.StartAsync("plain", scratch.Path);
        await using var meshServer = await HopProcess.StartAsync("mesh", scratch.Path);
        using var plain = HopClients.Plain(plainServer.Port, certificates);
        await using var mesh = await HopClients.MeshAsync(meshServer.Port, certificates);
        Console.WriteLine($"# {Environment.ProcessorCount} processors, {Environment.Version}, {settings.Pairs} pairs of {settings.Duration.TotalSeconds} s, {DateTime.UtcNow:yyyy-MM-dd}");
        Console.WriteLine("concurrency,measure,plain_median,mesh_median,ratio_median,ratio_min,ratio_max");
        foreach (var concurrency in settings.Concurrency)
        {
            await MeasureAsync(plain.Client, plainServer, concurrency, settings.Duration);
            await MeasureAsync(mesh.Client, meshServer, concurrency, settings.Duration);
            var pairs = new List<(Measured Plain, Measured Mesh)>();
            for (var i = 0; i < settings.Pairs; i++)
            {
                pairs.Add((await MeasureAsync(plain.Client, plainServer, concurrency, settings.Duration), await MeasureAsync(mesh.Client, meshServer, concurrency, settings.Duration)));
            }

            Print(concurrency, "cpu_us_per_request", pairs, m => m.CpuMicroseconds);
            Print(concurrency, "client_bytes_per_request", pairs, m => m.ClientBytes);
            Print(concurrency, "server_bytes_per_request", pairs, m => m.ServerBytes);
            Print(concurrency, "requests_per_second", pairs, m => m.RequestsPerSecond);
            Print(concurrency, "p50_us", pairs, m => m.P50);
            Print(concurrency, "p99_us", pairs, m => m.P99);
        }

        return 0;
    }

    public static void Print(int concurrency, string measure, List<(Measured Plain, Measured Mesh)> pairs, Func<Measured, double> read) =>
        Print(concurrency.ToString(CultureInfo.InvariantCulture), measure, pairs, read);

    /// <param name="label">What stands before the measure; may have commas.</param>
    public static void Print(string label, string measure, List<(Measured Plain, Measured Mesh)> pairs, Func<Measured, double> read)
    {
        double[] ratios = [.. pairs.Select(p => read(p.Plain) == 0 ? 0 : read(p.Mesh) / read(p.Plain)).Order()];
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{label},{measure},{Median(pairs.Select(p => read(p.Plain))):F1},{Median(pairs.Select(p => read(p.Mesh))):F1},{Median(ratios):F2},{ratios[0]:F2},{ratios[^1]:F2}"));
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }

    public static async Task<Measured> MeasureAsync(HttpClient client, HopProcess server, int concurrency, TimeSpan duration)
    {
        var self = Process.GetCurrentProcess();
        // Made before the bytes are counted: they would weigh more on the slower of a pair.
        List<long>[] latencies = [.. Enumerable.Range(0, concurrency).Select(_ => new List<long>(200_000))];
        var serverBefore = await server.ReadAsync();
        var cpuBefore = self.TotalProcessorTime;
        var bytesBefore = GC.GetTotalAllocatedBytes(precise: true);
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(latencies.Select(l => Task.Run(() => LoopAsync(client, clock, duration, l))));
        var elapsed = clock.Elapsed;
        var bytes = GC.GetTotalAllocatedBytes(precise: true) - bytesBefore;
        self.Refresh();
        var cpu = self.TotalProcessorTime - cpuBefore;
        var serverAfter = await server.ReadAsync();
        long[] all = [.. latencies.SelectMany(l => l).Order()];
        double requests = all.Length;
        return new Measured(
            (cpu + serverAfter.Cpu - serverBefore.Cpu).TotalMicroseconds / requests,
            bytes / requests,
            (serverAfter.Bytes - serverBefore.Bytes) / requests,
            requests / elapsed.TotalSeconds,
            Stopwatch.GetElapsedTime(0, all[all.Length / 2]).TotalMicroseconds,
            Stopwatch.GetElapsedTime(0, all[(int)(all.Length * 0.99)]).TotalMicroseconds);
    }

    private static async Task LoopAsync(HttpClient client, Stopwatch clock, TimeSpan duration, List<long> latencies)
    {
        while (clock.Elapsed < duration)
        {
            var start = Stopwatch.GetTimestamp();
            using var response = await client.GetAsync(new Uri("/", UriKind.Relative));
            await response.Content.CopyToAsync(Stream.Null);
            response.EnsureSuccessStatusCode();
            latencies.Add(Stopwatch.GetTimestamp() - start);
        }
    }

    public sealed record Measured(double CpuMicroseconds, double ClientBytes, double ServerBytes, double RequestsPerSecond, double P50, double P99);
}
