using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>
/// Caller → proxy → mutual TLS → proxy → app, each in its namespace with redirected connections: our sidecars, HAProxy, nginx, and no proxies.
/// All pairs stand all the time and take turns; every figure is the median of the repetitions, with the smallest and the largest.
/// </summary>
internal sealed class SidecarBench(SidecarSettings settings, SidecarFiles files, List<SidecarPair> pairs)
{
    private const string Baseline = "haproxy-h2";

    public static async Task<int> RunAsync(SidecarSettings settings)
    {
        if (Lab.Lacks() is { } lack)
        {
            Console.WriteLine($"# skipped: {lack}");
            return 0;
        }

        var wanted = settings.Pairs.ToList();
        if (wanted.Contains("mesh") && MeshPair.Lacks() is { } missing)
        {
            Console.WriteLine($"# mesh left out: {missing}");
            wanted.Remove("mesh");
        }

        using var scratch = new Scratch();
        var files = new SidecarFiles(scratch.Path);
        await using var lab = await Lab.CreateAsync();
        // Told to end (by a limit, say), it leaves no namespace behind.
        using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            lab.DisposeAsync().AsTask().Wait(TimeSpan.FromSeconds(8));
            Environment.Exit(143);
        });
        var pairs = new List<SidecarPair>();
        foreach (var name in wanted)
        {
            var pair = await SidecarPair.CreateAsync(name, lab, files);
            pairs.Add(pair);
            await pair.StartAsync();
        }

        Print($"# {Environment.ProcessorCount} processors, load {(await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0]}, {settings.Repetitions} repetitions of {settings.Duration.TotalSeconds} s, {DateTime.UtcNow:yyyy-MM-dd}");
        Print($"part,bytes,in_flight,pair,measure,median,min,max,over_{Baseline}_median,over_{Baseline}_min,over_{Baseline}_max");
        var bench = new SidecarBench(settings, files, pairs);
        foreach (var part in settings.Parts)
        {
            await (part switch
            {
                "start" => bench.StartAsync(),
                "http" => bench.RequestsAsync(grpc: false),
                "grpc" => bench.RequestsAsync(grpc: true),
                "tcp" => bench.BytesAsync(),
                _ => bench.MemoryAsync(),
            });
        }

        return 0;
    }

    /// <summary>From exec until the outbound proxy is ready: ours with its certificate and policies, the others when they listen.</summary>
    private async Task StartAsync()
    {
        var table = new BenchTable("start", 0, 0);
        for (var i = 0; i < settings.Repetitions; i++)
        {
            foreach (var pair in pairs.Where(p => p.Outbound is not null))
            {
                table.Add(pair.Name, "idle_outbound_kib", pair.Outbound!.ResidentKiB());
                table.Add(pair.Name, "idle_inbound_kib", pair.Inbound!.ResidentKiB());
                table.Add(pair.Name, "ready_ms", (await pair.RestartOutboundAsync()).TotalMilliseconds);
            }
        }

        table.Print(Baseline);
    }

    private async Task RequestsAsync(bool grpc)
    {
        foreach (var bytes in (int[])[256, 65536])
        {
            // Large bodies are bound by copying: one and many in flight say the same there.
            foreach (var inFlight in settings.InFlight.Where(n => bytes == 256 || n is > 1 and <= 64))
            {
                var table = new BenchTable(grpc ? "grpc" : "http", bytes, inFlight);
                // gRPC is HTTP/2 on every hop: the pair that differs in it has nothing to add.
                List<SidecarPair> taking = [.. pairs.Where(p => !grpc || p.Name != "haproxy-h1")];
                foreach (var pair in taking)
                {
                    await LoadResult.RunAsync(pair, files, grpc, bytes, inFlight, TimeSpan.FromSeconds(1));
                }

                for (var i = 0; i < settings.Repetitions; i++)
                {
                    foreach (var pair in i % 2 == 0 ? taking : Enumerable.Reverse(taking))
                    {
                        var result = await LoadResult.RunAsync(pair, files, grpc, bytes, inFlight, settings.Duration);
                        table.Add(pair.Name, "pair_cpu_us", result.PairCpu);
                        table.Add(pair.Name, "outbound_cpu_us", result.OutboundCpu);
                        table.Add(pair.Name, "inbound_cpu_us", result.InboundCpu);
                        table.Add(pair.Name, "app_cpu_us", result.AppCpu);
                        table.Add(pair.Name, "p50_us", result.P50);
                        table.Add(pair.Name, "p99_us", result.P99);
                        table.Add(pair.Name, "per_second", result.PerSecond);
                        table.Add(pair.Name, "failed", result.Failed);
                    }
                }

                table.Print(Baseline);
            }
        }
    }

    /// <summary>From the app to the caller on a port that nobody looks into.</summary>
    private async Task BytesAsync()
    {
        foreach (var connections in (int[])[1, 16])
        {
            var table = new BenchTable("tcp", 0, connections);
            for (var i = 0; i < settings.Repetitions; i++)
            {
                foreach (var pair in pairs.Where(p => p.Name is not ("nginx" or "haproxy-h1")))
                {
                    var before = (pair.Outbound?.Cpu() ?? default) + (pair.Inbound?.Cpu() ?? default);
                    var said = await pair.Caller.RunAsync(
                        settings.Duration + TimeSpan.FromSeconds(20),
                        Environment.ProcessPath!, "sidecar-load", "tcp", pair.Target, Text(connections), Text((int)settings.Duration.TotalSeconds));
                    var (bytes, seconds) = (double.Parse(said.Split(' ')[0], CultureInfo.InvariantCulture), double.Parse(said.Split(' ')[1], CultureInfo.InvariantCulture));
                    table.Add(pair.Name, "mb_per_second", bytes / seconds / 1e6);
                    table.Add(pair.Name, "pair_cpu_us_per_mb", ((pair.Outbound?.Cpu() ?? default) + (pair.Inbound?.Cpu() ?? default) - before).TotalMicroseconds / (bytes / 1e6));
                }
            }

            table.Print(Baseline);
        }
    }

    /// <summary>After all the load before, and with connections that do nothing.</summary>
    private async Task MemoryAsync()
    {
        var table = new BenchTable("memory", 0, settings.IdleConnections);
        foreach (var pair in pairs.Where(p => p.Outbound is not null))
        {
            // In the middle of load, not after it.
            var load = LoadResult.RunAsync(pair, files, grpc: false, 65536, 64, settings.Duration + TimeSpan.FromSeconds(1));
            for (var clock = Stopwatch.StartNew(); !load.IsCompleted && clock.Elapsed < settings.Duration; await Task.Delay(100))
            {
                table.Add(pair.Name, "loaded_outbound_kib", pair.Outbound!.ResidentKiB());
                table.Add(pair.Name, "loaded_inbound_kib", pair.Inbound!.ResidentKiB());
            }

            await load;
            var idle = pair.Caller.Start(1000, null, Environment.ProcessPath!, "sidecar-load", "idle", pair.Target, Text(settings.IdleConnections));
            await idle.SaysAsync("holding", TimeSpan.FromSeconds(60));
            table.Add(pair.Name, "connections_outbound_kib", pair.Outbound!.ResidentKiB());
            table.Add(pair.Name, "connections_inbound_kib", pair.Inbound!.ResidentKiB());
            await idle.StopAsync();
        }

        table.Print(Baseline);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}
