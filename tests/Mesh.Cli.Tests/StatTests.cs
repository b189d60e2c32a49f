using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

public sealed class StatTests
{
    private const string Pairs = """
        [
          {"source":"storefront","source_namespace":"shop","destination":"payments","destination_namespace":"shop","requests":1000,"success_rate":0.909,
           "effective_success_rate":1.0,"rps":33.3,"p50_ms":1.25,"p95_ms":4.5,"p99_ms":12.0,"mtls_share":1.0,"retries":100},
          {"source":"unmeshed","source_namespace":"","destination":"storefront","destination_namespace":"shop","requests":10,"success_rate":null,
           "effective_success_rate":1.0,"rps":1.0,"p50_ms":null,"p95_ms":2.0,"p99_ms":3.0,"mtls_share":0.0,"retries":0},
          {"source":"job","source_namespace":"batch","destination":"db","destination_namespace":"batch","requests":1,"success_rate":1,
           "effective_success_rate":1,"rps":0.1,"p50_ms":1,"p95_ms":1,"p99_ms":1,"mtls_share":0.5,"retries":0}
        ]
        """;

    [Fact]
    public async Task Stat_Pairs_WritesTable()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (200, Pairs);

        var run = await CliRun.RunAsync(server, "stat", "-n", "shop");

        Assert.Equal(0, run.ExitCode);
        Assert.Empty(run.Error);
        Assert.Equal(
            """
            SRC          DST          SUCCESS   EFFECTIVE       RPS   LATENCY_P50   LATENCY_P95   LATENCY_P99   SECURED   RETRIES
            unmeshed     storefront         -     100.00%    1.0rps             -         2.0ms         3.0ms     0.00%         0
            storefront   payments      90.90%     100.00%   33.3rps         1.3ms         4.5ms        12.0ms   100.00%       100

            """,
            run.Out,
            ignoreLineEndingDifferences: true);
        Assert.Equal("GET /api/v1/pairs?window=30", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Stat_Json_WritesPairObjectsUnchanged()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (200, Pairs);

        var run = await CliRun.RunAsync(server, "stat", "svc/payments", "-o", "json", "--window", "5m");

        var pair = Assert.Single(JsonNode.Parse(run.Out)!.AsArray());
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Pairs)![0], pair));
        Assert.Equal("GET /api/v1/pairs?window=300", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Stat_NoCalls_WritesHintToStderrOnly()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (200, "[]");

        var run = await CliRun.RunAsync(server, "stat");

        Assert.Equal((0, ""), (run.ExitCode, run.Out));
        Assert.Contains("No calls", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Edges_Pairs_WritesTable()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/golden"] = (200, $$"""{"items":{{Pairs}}}""");

        var run = await CliRun.RunAsync(server, "edges");

        Assert.Equal(
            """
            SRC          DST          SRC_NS   DST_NS   SECURED
            unmeshed     storefront   -        shop     ×
            job          db           batch    batch    50.00%
            storefront   payments     shop     shop     √

            """,
            run.Out,
            ignoreLineEndingDifferences: true);
    }

    [Fact]
    public async Task Stat_Watch_RepeatsUntilInterrupted()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (200, Pairs);
        using var interrupt = new CancellationTokenSource();
        var environment = new Dictionary<string, string> { ["MESH_SERVER"] = server.Url, ["MESH_TOKEN"] = FakeControlPlane.Token };

        var running = CliRun.RunAsync(environment, ["stat", "--watch"], cancellationToken: interrupt.Token);
        while (server.Asked.Count < 2)
        {
            Assert.False(running.IsCompleted);
            await Task.Yield();
        }

        await interrupt.CancelAsync();
        Assert.Equal(130, (await running).ExitCode);
    }
}
