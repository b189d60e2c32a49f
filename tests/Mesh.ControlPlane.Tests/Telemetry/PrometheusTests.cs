using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Text;
using Mesh.ControlPlane.Telemetry;
using Mesh.Export;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;
using ExportText = Mesh.Export.PrometheusText;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>A real Prometheus scrapes what a workload exposes; it and the embedded store are asked the same.</summary>
public sealed class PrometheusTests : IAsyncDisposable
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-prometheus-").FullName;
    private readonly Lock _lock = new();
    private MetricAggregate _aggregate = new();
    private readonly ServiceProvider _meters = new ServiceCollection().AddMetrics().AddSingleton<ConnectionPairs>()
        .AddSingleton(p => new CounterTotals(meters: p.GetRequiredService<IMeterFactory>())).BuildServiceProvider();
    private WebApplication? _app;
    private Process? _prometheus;

    public async ValueTask DisposeAsync()
    {
        if (_prometheus is { } process)
        {
            process.Kill();
            await process.WaitForExitAsync(CancellationToken.None);
            process.Dispose();
        }

        if (_app is { } app)
        {
            await app.DisposeAsync();
        }

        await _meters.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task SameQuestions_GiveTheSameCounts_AlsoOverARestart()
    {
        if (!File.Exists("/usr/bin/prometheus"))
        {
            Assert.Skip("prometheus is not installed: apt-get install prometheus (eng/test does it as root).");
        }

        var port = await StartAsync();
        using var server = new PrometheusServer(new Uri($"http://127.0.0.1:{port}"), tokenFile: null);
        using var bench = new GoldenBench(TimeProvider.System);
        var asked = new PrometheusQueries(server, bench.Balancers, TimeProvider.System);
        var from = TimeProvider.System.GetUtcNow() - TimeSpan.FromMinutes(5);

        Record(bench, "cart", good: 40, bad: 3, attempts: 50);
        var connections = Connect(bench);
        await ScrapedAsync(server, "cart", 43);
        var then = TimeProvider.System.GetUtcNow();
        Record(bench, "cart", good: 17, bad: 0, attempts: 17);
        Record(bench, "till", good: 9, bad: 0, attempts: 9);
        await ScrapedAsync(server, "till", 9);
        await ScrapedAsync(server, "cart", 60);

        // The process ends and begins again: its counters are at nothing.
        lock (_lock)
        {
            _aggregate = new MetricAggregate();
        }

        Record(bench, "cart", good: 21, bad: 1, attempts: 30);
        await ScrapedAsync(server, "cart", 22);

        connections[0].Dispose();
        await Eventually.Async(
            async () => (await server.QueryAsync("mesh_client_connection_open", TimeProvider.System.GetUtcNow(), Token)) is [var open] && open.Samples[0].Value is 1, "the closed connection to be scraped", TimeSpan.FromSeconds(60));
        ulong round = 0;
        foreach (var by in new[] { GoldenBy.Pair, GoldenBy.Service, GoldenBy.Workload, GoldenBy.Route, GoldenBy.Endpoint, GoldenBy.Backend })
        {
            var query = new GoldenQuery(by, from, TimeProvider.System.GetUtcNow());
            // Theirs may take its time; what is open in ours is of now.
            bench.Store.Open.Set(new ReportingInstance("cart", "1"), ++round, new SeriesKey(SeriesKind.ClientConnection, "cart", "shop", "ledger", "shop"), 1, TimeProvider.System.GetUtcNow());
            var ours = bench.Read(query);
            var theirs = await asked.ReadAsync(query, Token);
            Assert.Equal("prometheus", theirs.Store);
            Assert.Equal(ours.Items.Select(i => (i.Key, Counts(i.Numbers))), theirs.Items.Select(i => (i.Key, Counts(i.Numbers))));
            foreach (var (one, other) in ours.Items.Zip(theirs.Items))
            {
                Assert.Equal((one.Numbers.SuccessRate, one.Numbers.EffectiveSuccessRate, one.Numbers.MtlsShare), (other.Numbers.SuccessRate, other.Numbers.EffectiveSuccessRate, other.Numbers.MtlsShare));
                // Their buckets are powers of two.
                Assert.InRange(one.Numbers.Requests == 0 ? 1 : other.Numbers.P99Ms / one.Numbers.P99Ms, 0.5, 2);
            }
        }

        // Of a time past it says what was then, open connections too.
        var past = (await asked.ReadAsync(new GoldenQuery(GoldenBy.Pair, from, then), Token)).Items.ToDictionary(i => i.Key.Destination!, i => i.Numbers);
        Assert.Equal((43L, 2L), (past["pricing"].Requests, past["ledger"].OpenConnections));
        var of = await asked.ReadAsync(new GoldenQuery(GoldenBy.Pair, from, TimeProvider.System.GetUtcNow()) { Source = "till" }, Token);
        Assert.Equal(9, Assert.Single(of.Items).Numbers.Requests);
        var series = await asked.ReadSeriesAsync(new GoldenQuery(GoldenBy.Workload, from, TimeProvider.System.GetUtcNow()) { Source = "cart" }, Slots.Fine, Token);
        Assert.InRange(Assert.Single(series.Items).Requests.Sum() ?? 0, 1, 82);
    }

    [Fact]
    public async Task ServerThatIsNotThere_IsSaid()
    {
        using var server = new PrometheusServer(new Uri($"http://127.0.0.1:{FreePort.Next()}"), tokenFile: null);
        var asked = new PrometheusQueries(server, new BalancerTable(), TimeProvider.System);
        var now = TimeProvider.System.GetUtcNow();
        var error = await Assert.ThrowsAsync<GoldenUnavailableException>(() => asked.ReadAsync(new GoldenQuery(GoldenBy.Pair, now - TimeSpan.FromMinutes(1), now), Token));
        Assert.Contains("--prometheus", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Increase_OverARestart_CountsBothLives()
    {
        var t = DateTimeOffset.UnixEpoch;
        PromSample At(int second, double value) => new(t + TimeSpan.FromSeconds(second), value);
        Assert.Equal(15, PromQl.Increase([At(0, 5), At(10, 10), At(20, 3), At(30, 10)], t));
        Assert.Equal(10, PromQl.Increase([At(20, 3), At(30, 10)], t));
        Assert.Equal(0, PromQl.Increase([At(0, 5)], t));
    }

    private static (long, long, long, long, long, long, long, long?, long, long) Counts(GoldenNumbers n) =>
        (n.Requests, n.Failures, n.Cancelled, n.Attempts, n.AttemptFailures, n.Retries, n.OpenedConnections, n.OpenConnections, n.ReceivedBytes, n.SentBytes);

    /// <summary>Two connections that carry no HTTP.</summary>
    private ConnectionMeter[] Connect(GoldenBench bench)
    {
        var pair = new ConnectionPair(IsInbound: false, "cart", "shop", "ledger", "shop", IsMesh: true);
        _ = _meters.GetRequiredService<CounterTotals>();
        ConnectionMeter[] open = [_meters.GetRequiredService<ConnectionPairs>().Begin(pair), _meters.GetRequiredService<ConnectionPairs>().Begin(pair)];
        open[0].Forth(1000);
        open[1].Forth(24);
        open[1].Back(7);
        foreach (var (kind, count) in new[] { (SeriesKind.ClientOpened, 2), (SeriesKind.ClientReceived, 1024), (SeriesKind.ClientSent, 7) })
        {
            bench.Store.Add(new SeriesKey(kind, "cart", "shop", "ledger", "shop"), new Measure(CallOutcome.Good, Tls: true, count));
        }

        return open;
    }

    /// <summary>Counts as a workload does, for both: its aggregate, and the reports of it.</summary>
    private void Record(GoldenBench bench, string source, int good, int bad, int attempts)
    {
        void One(string metric, SeriesKind kind, string outcome, int count, params KeyValuePair<string, string>[] more)
        {
            KeyValuePair<string, string>[] tags =
            [
                new(MeshTags.Source, source), new(MeshTags.SourceNamespace, "shop"), new(MeshTags.Destination, "pricing"), new(MeshTags.DestinationNamespace, "shop"),
                new(MeshTags.Outcome, outcome), new(MeshTags.Tls, "mesh"), new(MeshTags.Route, "pricing/0"), .. more,
            ];
            var durations = new DurationHistogram();
            lock (_lock)
            {
                var series = _aggregate.Get(metric, tags);
                for (var i = 0; i < count; i++)
                {
                    var took = TimeSpan.FromMilliseconds(2 + (i * 3 % 40));
                    series.Durations.Record(took);
                    durations.Record(took);
                }
            }

            if (durations.Collect() is { } delta)
            {
                var buckets = new BucketCounts();
                for (var i = 0; i < delta.Counts.Count; i++)
                {
                    buckets.Add(DurationHistogram.FirstIndex + i, delta.Counts[i]);
                }

                bench.Store.Add(
                    new SeriesKey(kind, source, "shop", "pricing", "shop") { Route = "pricing/0", Backend = Value(MeshTags.Backend), BackendNamespace = Value(MeshTags.BackendNamespace), Endpoint = Value(MeshTags.Endpoint) },
                    Measure.Of(buckets, outcome == MeshTags.Success ? CallOutcome.Good : CallOutcome.Bad, tls: true));
            }

            string Value(string key) => Array.Find(more, m => m.Key == key).Value ?? string.Empty;
        }

        KeyValuePair<string, string>[] endpoint = [new(MeshTags.Backend, "pricing-v1"), new(MeshTags.BackendNamespace, "shop"), new(MeshTags.Endpoint, "10.0.0.1:80"), new(MeshTags.Reached, "true")];
        One(MeshTags.ClientCallDuration, SeriesKind.Call, MeshTags.Success, good);
        One(MeshTags.ClientCallDuration, SeriesKind.Call, MeshTags.Failure, bad);
        One(MeshTags.ClientAttemptDuration, SeriesKind.Attempt, MeshTags.Success, good, endpoint);
        One(MeshTags.ClientAttemptDuration, SeriesKind.Attempt, MeshTags.Failure, attempts - good, endpoint);
        bench.Store.AddReporter(new Caller(source, "shop"));
    }

    private static Task ScrapedAsync(PrometheusServer server, string source, int calls) => Eventually.Async(
        async () =>
        {
            var found = await server.QueryAsync($"sum(mesh_client_call_duration_seconds_bucket{{le=\"+Inf\",mesh_source_workload=\"{source}\"}})", TimeProvider.System.GetUtcNow(), Token);
            return found.Count == 1 && found[0].Samples[0].Value.Equals(calls);
        },
        $"{calls} calls of {source} to be scraped",
        TimeSpan.FromSeconds(60));

    private async Task<int> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var scraped = FreePort.Next();
        builder.WebHost.UseUrls($"http://127.0.0.1:{scraped}");
        _app = builder.Build();
        _app.MapGet("/metrics", () =>
        {
            lock (_lock)
            {
                var totals = _meters.GetRequiredService<CounterTotals>();
                var text = string.Concat(ExportText.Histograms(_aggregate).Concat(ExportText.Counters(totals, TextFormat.Prometheus)).Concat(ExportText.Gauges(totals.ReadGauges(out _))));
                return Results.Text(text, "text/plain; version=0.0.4", Encoding.UTF8);
            }
        });
        await _app.StartAsync(Token);

        var port = FreePort.Next();
        var config = Path.Combine(_folder, "prometheus.yml");
        await File.WriteAllTextAsync(config, string.Create(CultureInfo.InvariantCulture, $$"""
            global: { scrape_interval: 1s }
            scrape_configs:
            - job_name: mesh
              static_configs: [{ targets: ["127.0.0.1:{{scraped}}"] }]
            """), Token);
        _prometheus = Process.Start(new ProcessStartInfo(
            "/usr/bin/prometheus", [$"--config.file={config}", $"--storage.tsdb.path={Path.Combine(_folder, "data")}", $"--web.listen-address=127.0.0.1:{port}", "--log.level=error"])
        {
            RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        _prometheus.OutputDataReceived += (_, _) => { };
        _prometheus.ErrorDataReceived += (_, _) => { };
        _prometheus.BeginOutputReadLine();
        _prometheus.BeginErrorReadLine();
        using var http = new HttpClient();
        await Eventually.Async(
            async () =>
            {
                Assert.False(_prometheus.HasExited, "Prometheus ended.");
                try
                {
                    return (await http.GetAsync($"http://127.0.0.1:{port}/-/ready", Token)).StatusCode == HttpStatusCode.OK;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            },
            "Prometheus to be ready",
            TimeSpan.FromSeconds(60));
        return port;
    }
}
