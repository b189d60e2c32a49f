using System.Diagnostics;
using Grpc.Net.Client;

namespace Mesh.Benchmarks.Plane;

/// <summary>One control plane, all clients with one variant: connect, change, restart. Fills a table of measures.</summary>
internal sealed class PlaneRun(PlaneSettings settings, bool delta)
{
    private static readonly TimeSpan _settle = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(120);
    private readonly PlaneTopology _topology = new(settings);
    private readonly PlaneMeter _meter = new((int)(settings.Rate * settings.Duration.TotalSeconds * 1.1 * Math.Max(1, settings.Clients * settings.Watch / settings.Services + 1)) + 1000);
    private readonly Dictionary<string, double> _measures = [];
    private readonly List<string> _wrong = [];

    /// <summary>What was not as it must be; empty when all is well.</summary>
    public IReadOnlyList<string> Wrong => _wrong;

    public async Task<IReadOnlyDictionary<string, double>> RunAsync(string scratch)
    {
        foreach (var service in _topology.Services)
        {
            service.Addresses.AddRange(_topology.Fill(settings.Endpoints));
        }

        await using IPlaneFeed feed = settings.Source == "kubernetes" ? await KubernetesFeed.StartAsync(_topology) : new PipeFeed(_topology);
        var arguments = feed.Arguments(scratch).Concat(["--data", Path.Combine(scratch, "data"), "--cluster-networks", "10.0.0.0/8"]).ToArray();
        var plane = await PlaneProcess.StartAsync([.. arguments, "--port-base", "0"], feed.FillAsync);
        try
        {
            _measures["start_ms"] = plane.Starting.TotalMilliseconds;
            var identities = settings.Tls ? await PlaneIdentities.JoinAsync(plane, feed, settings.Namespaces) : null;
            await plane.CollectAsync();
            await Task.Delay(_settle);
            var heap = await plane.CollectAsync();
            var idle = plane.AnonymousKib;
            _measures["idle_kib"] = idle;

            using var stop = new CancellationTokenSource();
            PlaneClient[] clients = [.. Enumerable.Range(0, settings.Clients).Select(i => new PlaneClient(i, _topology, _meter, settings, delta))];
            var current = plane;
            GrpcChannel Connect(int i) => identities?.Connect(Volatile.Read(ref current), i) ?? PlaneIdentities.Plaintext(Volatile.Read(ref current));
            var began = Stopwatch.GetTimestamp();
            Task[] running = [.. clients.Select((c, i) => Task.Run(() => c.RunAsync(() => Connect(i), stop.Token)))];
            try
            {
                await AllAsync("first", clients, began);
                _measures["first_bytes_per_client"] = (double)_meter.Bytes / settings.Clients;
                await Task.Delay(_settle);
                _measures["memory_per_client_kib"] = (plane.AnonymousKib - idle) / settings.Clients;
                _measures["heap_per_client_kib"] = (await plane.CollectAsync() - heap) / settings.Clients;
                _measures["memory_per_client_collected_kib"] = (plane.AnonymousKib - idle) / settings.Clients;
                await ChangeAsync(plane, feed);
                _measures["memory_per_client_after_kib"] = (plane.AnonymousKib - idle) / settings.Clients;
                await CheckAsync(plane, clients);

                // Killed: nobody is told. It comes back at the same ports, with its own authority.
                var ports = (string[])[.. plane.Ads.Length > 0 ? (string[])["--ads-port", Port(plane.Ads)] : [], "--grpc-port", Port(plane.Grpc), "--http-port", $"{plane.Http.Port}"];
                await plane.DisposeAsync();
                Array.ForEach(clients, c => c.Forget());
                Volatile.Write(ref current, plane = await PlaneProcess.StartAsync([.. arguments, .. ports], feed.FillAsync));
                _measures["restart_ready_ms"] = plane.Starting.TotalMilliseconds;
                var cpu = plane.Cpu;
                await AllAsync("restart", clients, Stopwatch.GetTimestamp());
                _measures["restart_cpu_ms"] = (plane.Cpu - cpu).TotalMilliseconds;
                await CheckAsync(plane, clients);
            }
            finally
            {
                await stop.CancelAsync();
                await Task.WhenAll(running);
            }
        }
        finally
        {
            await plane.DisposeAsync();
        }

        return _measures;
    }

    private async Task ChangeAsync(PlaneProcess plane, IPlaneFeed feed)
    {
        var watchers = _topology.Watchers();
        var (cpu, bytes, asked, responses, resources) = (plane.Cpu, _meter.Bytes, _meter.Asked, _meter.Responses, _meter.Resources);
        var own = Process.GetCurrentProcess().TotalProcessorTime;
        var clock = Stopwatch.StartNew();
        var changes = new List<PlaneChange>();
        var total = (int)(settings.Rate * settings.Duration.TotalSeconds);
        foreach (var (service, added) in Restarts().Take(total))
        {
            if (TimeSpan.FromSeconds((double)changes.Count / settings.Rate) - clock.Elapsed is { Ticks: > 0 } early)
            {
                await Task.Delay(early);
            }

            var address = added ? _topology.NextAddress() : service.Addresses[0];
            var change = new PlaneChange(address, added, watchers[service.Index]);
            service.Add(change);
            if (added)
            {
                service.Addresses.Add(address);
            }
            else
            {
                service.Addresses.Remove(address);
            }

            changes.Add(change);
            await feed.ApplyAsync(plane, service, change);
        }

        var made = clock.Elapsed;
        await UntilAsync("all changes have reached their clients", () => changes.TrueForAll(c => c.IsKnownToAll));
        var elapsed = clock.Elapsed;
        double[] last = [.. changes.Where(c => c.ToLast > TimeSpan.Zero).Select(c => c.ToLast.TotalMilliseconds).Order()];
        var each = _meter.Latencies;
        var used = (plane.Cpu - cpu).TotalMilliseconds;
        _measures["changes_per_second"] = changes.Count / made.TotalSeconds;
        _measures["change_p50_ms"] = At(each, 0.5);
        _measures["change_p99_ms"] = At(each, 0.99);
        _measures["change_to_last_p50_ms"] = At(last, 0.5);
        _measures["change_to_last_p99_ms"] = At(last, 0.99);
        _measures["change_to_last_max_ms"] = At(last, 1);
        _measures["cpu_percent_of_a_core"] = used / elapsed.TotalMilliseconds * 100;
        _measures["cpu_ms_per_change"] = used / changes.Count;
        _measures["cpu_us_per_response"] = used * 1000 / Math.Max(1, _meter.Responses - responses);
        _measures["responses_per_change"] = (double)(_meter.Responses - responses) / changes.Count;
        _measures["bytes_per_change"] = (double)(_meter.Bytes - bytes) / changes.Count;
        _measures["bytes_both_ways_per_change"] = (double)(_meter.Bytes - bytes + _meter.Asked - asked) / changes.Count;
        _measures["bytes_both_ways_per_resource"] = (double)(_meter.Bytes - bytes + _meter.Asked - asked) / Math.Max(1, _meter.Resources - resources);
        _measures["clients_cpu_percent_of_a_core"] = (Process.GetCurrentProcess().TotalProcessorTime - own).TotalMilliseconds / elapsed.TotalMilliseconds * 100;
    }

    /// <summary>Rolling restarts without end: of some Services at a time, in each one endpoint goes and then another comes.</summary>
    private IEnumerable<(PlaneService Service, bool Added)> Restarts()
    {
        for (var first = 0; ; first += settings.Restarting)
        {
            for (var step = 0; step < settings.Endpoints * 2; step++)
            {
                for (var i = 0; i < settings.Restarting; i++)
                {
                    // Far from each other, so that no client watches them all.
                    var service = (int)((first + ((long)i * _topology.Services.Length / settings.Restarting)) % _topology.Services.Length);
                    yield return (_topology.Services[service], step % 2 == 1);
                }
            }
        }
    }

    private async Task AllAsync(string what, PlaneClient[] clients, long began)
    {
        await UntilAsync($"{what}: every client has all it asked for", () => Array.TrueForAll(clients, c => c.Complete > 0));
        double[] times = [.. clients.Select(c => Stopwatch.GetElapsedTime(began, c.Complete).TotalMilliseconds).Order()];
        (_measures[$"{what}_median_ms"], _measures[$"{what}_last_ms"]) = (At(times, 0.5), At(times, 1));
    }

    private async Task CheckAsync(PlaneProcess plane, PlaneClient[] clients)
    {
        _wrong.AddRange(clients.Select(c => c.Wrong()).OfType<string>().Take(3));
        using var http = new HttpClient();
        var metrics = await http.GetStringAsync(new Uri(plane.Http, "/metrics"));
        if (!metrics.Contains("\nmesh_controlplane_nacks_total 0\n", StringComparison.Ordinal) || _meter.Refused > 0)
        {
            _wrong.Add($"clients refused {_meter.Refused} resources; the control plane says: {metrics.Split('\n').FirstOrDefault(l => l.StartsWith("mesh_controlplane_nacks_total", StringComparison.Ordinal))}");
        }
    }

    private static async Task UntilAsync(string what, Func<bool> holds)
    {
        var clock = Stopwatch.StartNew();
        while (!holds())
        {
            if (clock.Elapsed > _limit)
            {
                throw new TimeoutException($"Not within {_limit.TotalSeconds} s: {what}.");
            }

            await Task.Delay(20);
        }
    }

    private static double At(double[] sorted, double part) => sorted.Length == 0 ? 0 : sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * part))];

    private static string Port(string address) => address[(address.LastIndexOf(':') + 1)..];
}
