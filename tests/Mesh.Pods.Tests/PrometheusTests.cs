using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Mesh.Testing;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>A real Prometheus scrapes sidecars and a service with the mesh in its process; it and the embedded store are asked the same, by the API of a control plane on each.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class PrometheusTests(SharedPods pods)
{
    private const string Server = "/usr/bin/prometheus";
    private const string Address = "http://127.0.0.1:9090";
    private const int SlotSeconds = 10;
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private static readonly string[] _groupings = ["pair", "service", "workload", "route", "endpoint", "backend"];

    // Latencies are compared apart, for its buckets are powers of two; rates are over the time that a series is known, which is to the second there; what is open is true at the moment only.
    private static readonly string[] _approximate = ["rps", "p50_ms", "p95_ms", "p99_ms", "open_connections"];

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SidecarsAndService_Scraped_AnswerAsTheEmbeddedStore()
    {
        var mesh = pods.Mesh;
        Assert.SkipWhen(!File.Exists(Server), "prometheus is not installed: apt-get install prometheus (eng/test does it as root).");
        List<NamespaceProcess> started = [];
        try
        {
            var config = mesh.Scratch("prometheus.yml");
            await File.WriteAllTextAsync(config, $$"""
                global: { scrape_interval: 1s }
                scrape_configs:
                - { job_name: web, static_configs: [{ targets: ["{{mesh["web"].IpV4}}:4191"] }] }
                - { job_name: store, static_configs: [{ targets: ["{{mesh["store"].IpV4}}:4191"] }] }
                - { job_name: net, static_configs: [{ targets: ["{{mesh["net"].IpV4}}:{{SharedPods.Net}}"] }] }
                """, Cancel);
            started.Add(mesh.Plane.Namespace.Start(null, Server,
                [$"--config.file={config}", $"--storage.tsdb.path={mesh.Scratch("prometheus")}", $"--web.listen-address={new Uri(Address).Authority}", "--enable-feature=exemplar-storage", "--log.level=error"]));
            using var prometheus = mesh.PlaneClient(Address);
            using var beside = await mesh.StartOnPrometheusAsync(Address, started);
            await Eventually.Async(async () => await CountAsync(prometheus, "up == 1") == 3, "all three are scraped", PodMesh.StartLimit);

            // What a sidecar reports is of up to 5 s, and is divided over the slots that it is about: the calls come a whole slot later, so that none is told of the time before.
            var from = DateTimeOffset.FromUnixTimeSeconds(((TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / SlotSeconds) + 1) * SlotSeconds);
            await Eventually.Async(() => TimeProvider.System.GetUtcNow() > from.AddSeconds(SlotSeconds), "a slot without calls", TimeSpan.FromSeconds(30));
            using var web = mesh["web"].Http();
            web.DefaultRequestHeaders.Add("traceparent", $"00-{Trace}-00f067aa0ba902b7-01");
            for (var i = 0; i < 12; i++)
            {
                using var answer = await web.GetAsync(new Uri(SharedPods.Url("store", SharedPods.Http) + (i % 4 == 3 ? "/status/500" : $"/scraped/{i}")), Cancel);
                Assert.Equal(i % 4 == 3 ? 500 : 200, (int)answer.StatusCode);
            }

            for (var i = 0; i < 5; i++)
            {
                var called = Uri.EscapeDataString($"http://store.pods:{SharedPods.Http}/scraped");
                using var answer = await web.GetAsync(new Uri($"{SharedPods.Url("net", SharedPods.Net)}/call?url={called}&version=1.1&policy=RequestVersionOrLower"), Cancel);
                Assert.True(answer.IsSuccessStatusCode);
            }

            var difference = "";
            try
            {
                await Eventually.Async(async () => (difference = await DifferenceAsync(mesh, beside, from)).Length == 0, "both say the same", TimeSpan.FromSeconds(60));
            }
            catch (TimeoutException e)
            {
                throw new TimeoutException($"{e.Message}\n{difference}", e);
            }

            // It asked for OpenMetrics, and its parser took our exemplars.
            using var exemplars = JsonDocument.Parse(await prometheus.GetStringAsync(
                $"/api/v1/query_exemplars?query=mesh_client_call_duration_seconds_bucket&start={from.ToUnixTimeSeconds()}&end={TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() + 1}", Cancel));
            Assert.Contains(exemplars.RootElement.GetProperty("data").EnumerateArray().SelectMany(s => s.GetProperty("exemplars").EnumerateArray()), e => e.GetProperty("labels").GetProperty("trace_id").GetString() == Trace);
            Assert.Equal(0, await CountAsync(prometheus, "up != 1 or scrape_samples_scraped == 0"));
            await CheckTextAsync(mesh);
        }
        finally
        {
            foreach (var process in started)
            {
                await process.DisposeAsync();
            }
        }
    }

    /// <summary>The older text format, as it is given to who does not ask for another one, by Prometheus' own parser.</summary>
    private static async Task CheckTextAsync(PodMesh mesh)
    {
        foreach (var target in new[] { $"{mesh["web"].IpV4}:4191", $"{mesh["net"].IpV4}:{SharedPods.Net}" })
        {
            using var client = mesh.PlaneClient($"http://{target}");
            using var answer = await client.GetAsync(new Uri("/metrics", UriKind.Relative), Cancel);
            Assert.Equal("text/plain", answer.Content.Headers.ContentType?.MediaType);
            var file = mesh.Scratch("metrics.txt");
            await File.WriteAllTextAsync(file, await answer.Content.ReadAsStringAsync(Cancel), Cancel);
            var check = await mesh.Plane.Namespace.RunAsync(null, "/bin/sh", ["-c", $"promtool check metrics < {file}"]);
            // 3: it would name something otherwise; 1: it can't read it.
            Assert.True(check.ExitCode is 0 or 3, check.Errors);
        }
    }

    private static async Task<string> DifferenceAsync(PodMesh mesh, HttpClient beside, DateTimeOffset from)
    {
        var to = TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);
        foreach (var (source, requests, destinations) in new[] { ("web", 17, 2), ("net", 5, 1) })
        {
            foreach (var by in _groupings)
            {
                var path = $"/api/v1/golden?by={by}&source={source}&from={Uri.EscapeDataString(from.ToString("O", CultureInfo.InvariantCulture))}&to={Uri.EscapeDataString(to)}";
                var (ours, theirs) = (await mesh.ApiAsync(path), await beside.GetFromJsonAsync<JsonElement>(path, Cancel));
                Assert.Equal("prometheus", theirs.GetProperty("store").GetString());
                var (mine, their) = (Items(ours), Items(theirs));
                if (!mine.SequenceEqual(their))
                {
                    return $"{path}\n{string.Join('\n', mine)}\nPrometheus:\n{string.Join('\n', their)}";
                }

                var counted = Calls(ours).Sum(i => i.GetProperty("requests").GetInt64());
                if (counted != requests || (by == "pair" && mine.Count != destinations))
                {
                    return $"{path}: {counted} requests of {requests}\n{string.Join('\n', mine)}";
                }

                foreach (var (one, other) in Calls(ours).Zip(Calls(theirs)))
                {
                    Assert.InRange(other.GetProperty("p99_ms").GetDouble() / one.GetProperty("p99_ms").GetDouble(), 0.5, 2);
                }
            }
        }

        return "";
    }

    private static List<string> Items(JsonElement answer) => [.. Calls(answer).Select(Key)];

    /// <summary>Without those who have nothing but connections, which other tests leave.</summary>
    private static IEnumerable<JsonElement> Calls(JsonElement answer) =>
        answer.GetProperty("items").EnumerateArray().Where(i => i.GetProperty("requests").GetInt64() > 0).OrderBy(Key, StringComparer.Ordinal);

    private static string Key(JsonElement item) => string.Join(' ', item.EnumerateObject().Where(p => !_approximate.Contains(p.Name)).Select(p => $"{p.Name}={p.Value}"));

    private static async Task<int> CountAsync(HttpClient prometheus, string query)
    {
        try
        {
            using var answer = JsonDocument.Parse(await prometheus.GetStringAsync($"/api/v1/query?query={Uri.EscapeDataString(query)}", Cancel));
            return answer.RootElement.GetProperty("data").GetProperty("result").GetArrayLength();
        }
        catch (HttpRequestException)
        {
            // It starts.
            return -1;
        }
    }
}
