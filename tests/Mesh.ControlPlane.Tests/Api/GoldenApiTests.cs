using System.Net;
using System.Text.Json;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class GoldenApiTests
{
    private static readonly string[] Envelope = ["from", "to", "step_s", "reaches_back_to", "store", "partial", "gaps", "items"];

    [Fact]
    public async Task Golden_AnswersInItsEnvelope_WithNoNameItIsNotBy()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        Fill(controlPlane);

        var answer = await GetAsync(controlPlane, "golden?by=route&destination=pricing&window=60");

        Assert.Equal(Envelope, answer.EnumerateObject().Select(p => p.Name));
        Assert.Equal(10, answer.GetProperty("step_s").GetDouble());
        var item = Assert.Single(answer.GetProperty("items").EnumerateArray());
        Assert.Equal(
            [
                "destination", "destination_namespace", "route", "view", "requests", "failures", "cancelled", "attempts", "attempt_failures", "retries", "success_rate", "effective_success_rate",
                "rps", "p50_ms", "p95_ms", "p99_ms", "mtls_share", "connections", "opened_connections", "open_connections", "received_bytes", "sent_bytes",
            ],
            item.EnumerateObject().Select(p => p.Name));
        Assert.Equal(("pricing/0", 20L, 1L), (item.GetProperty("route").GetString(), item.GetProperty("requests").GetInt64(), item.GetProperty("failures").GetInt64()));
    }

    [Fact]
    public async Task Series_HasArraysOfOneLength()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        Fill(controlPlane);

        var answer = await GetAsync(controlPlane, "golden/series?by=service&from=-300&step_s=30");

        var item = Assert.Single(answer.GetProperty("items").EnumerateArray());
        Assert.Equal(["destination", "destination_namespace", "view", "t0", "requests", "failures", "retries", "p50_ms", "p95_ms", "p99_ms"], item.EnumerateObject().Select(p => p.Name));
        var lengths = item.EnumerateObject().Where(p => p.Value.ValueKind == JsonValueKind.Array).Select(p => p.Value.GetArrayLength()).Distinct();
        Assert.InRange(Assert.Single(lengths), 10, 12);
        Assert.Equal(20, item.GetProperty("requests").EnumerateArray().Sum(r => r.ValueKind == JsonValueKind.Null ? 0 : r.GetInt64()));
    }

    [Fact]
    public async Task Decisions_AreCountedWithTheirRate()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Services.GetRequiredService<GoldenStore>().Add(
            new SeriesKey(SeriesKind.ClientDecision, "cart", "shop", "pricing", "shop") { Route = "retry", Backend = "503" }, new Measure(CallOutcome.Good, Tls: false, 7));

        var answer = await GetAsync(controlPlane, "decisions?workload=cart&service=pricing");

        Assert.Equal(Envelope, answer.EnumerateObject().Select(p => p.Name));
        var item = Assert.Single(answer.GetProperty("items").EnumerateArray());
        Assert.Equal(["workload", "namespace", "side", "decision", "reason", "service", "service_namespace", "count", "rate"], item.EnumerateObject().Select(p => p.Name));
        Assert.Equal(7, item.GetProperty("count").GetInt64());
        Assert.Equal(0, (await GetAsync(controlPlane, "decisions?workload=other")).GetProperty("items").GetArrayLength());
    }

    [Theory]
    [InlineData("golden?by=moon", "by is 'moon'. Use one of pair, service, workload, route, endpoint, backend.")]
    [InlineData("golden?view=both", "view is 'both'")]
    [InlineData("golden?window=604801", "window is '604801'")]
    [InlineData("golden?window=60&from=-60", "window excludes from and to")]
    [InlineData("golden?from=yesterday", "from is 'yesterday'")]
    [InlineData("golden?from=-60&to=-60", "is not before to")]
    [InlineData("golden/series?from=-600000&step_s=10", "steps; at most")]
    [InlineData("golden/series?step_s=-1", "step_s is '-1'")]
    [InlineData("pairs?window=x", "window is 'x'")]
    public async Task BadQuestions_AreAnsweredWithWhatToAsk(string path, string says)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api();

        using var response = await api.GetAsync($"/api/v1/{path}", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(says, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    private static void Fill(TestControlPlane controlPlane)
    {
        var store = controlPlane.Services.GetRequiredService<GoldenStore>();
        var key = new SeriesKey(SeriesKind.Call, "cart", "shop", "pricing", "shop") { Route = "pricing/0" };
        foreach (var (count, outcome) in new[] { (19, CallOutcome.Good), (1, CallOutcome.Bad) })
        {
            var durations = new BucketCounts();
            durations.Add(-64, count);
            store.Add(key, Measure.Of(durations, outcome, tls: true));
            store.Add(key with { Kind = SeriesKind.Attempt, Backend = "pricing-v1", BackendNamespace = "shop", Endpoint = "10.0.0.1:80" }, Measure.Of(durations, outcome, tls: true));
        }
    }

    private static async Task<JsonElement> GetAsync(TestControlPlane controlPlane, string path)
    {
        using var api = controlPlane.Api();
        return JsonDocument.Parse(await api.GetStringAsync($"/api/v1/{path}", TestContext.Current.CancellationToken)).RootElement;
    }
}
