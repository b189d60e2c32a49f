using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

public sealed class TracesTests
{
    private const string List = """
        {"reaches_back_to":"2026-11-29T21:00:00+00:00","store":"memory","partial":[],"items":[
          {"trace_id":"0af7651916cd43dd8448eb211c80319c","at":"2026-11-29T21:04:03.1234567+00:00","root":"GET /products/{id}","workload":"storefront","namespace":"shop",
           "duration_ms":1534.2,"spans":7,"failed":true,"services":["storefront","pricing"]},
          {"trace_id":"1af7651916cd43dd8448eb211c80319c","at":"2026-11-29T21:04:02+00:00","root":"GET \u001b[31m","workload":"cart","namespace":"shop","duration_ms":2.25,"spans":2,"failed":false,"services":["cart"]}
        ]}
        """;

    // A call that failed once and was tried again; the second server's span names a client's that nobody sent.
    private const string Tree = """
        {"trace_id":"0af7651916cd43dd8448eb211c80319c","spans":[
          {"span_id":"a000000000000001","parent_id":null,"name":"GET /products/{id}","kind":"server","workload":"storefront","namespace":"shop","start":"2026-11-29T21:04:03+00:00",
           "duration_ms":30.5,"status":"ok","attributes":{"http.response.status_code":200,"mesh.tls":"none","url.path":"/products/7"},"events":[]},
          {"span_id":"a000000000000002","parent_id":"a000000000000001","name":"GET pricing","kind":"client","workload":"storefront","namespace":"shop","start":"2026-11-29T21:04:03.001+00:00",
           "duration_ms":28,"status":"ok","attributes":{"http.response.status_code":200,"mesh.endpoint":"10.0.0.2:80","mesh.attempts":2,"mesh.route":"pricing/0"},
           "events":[{"at":"2026-11-29T21:04:03.015+00:00","name":"retry","attributes":{"mesh.reason":"503"}}]},
          {"span_id":"a000000000000003","parent_id":"a000000000000002","name":"mesh.attempt","kind":"internal","workload":"storefront","namespace":"shop","start":"2026-11-29T21:04:03.001+00:00",
           "duration_ms":13,"status":"error","attributes":{"http.response.status_code":503,"mesh.attempt":1,"mesh.reason":"first","mesh.endpoint":"10.0.0.1:80"},"events":[]},
          {"span_id":"a000000000000004","parent_id":"a000000000000002","name":"mesh.attempt","kind":"internal","workload":"storefront","namespace":"shop","start":"2026-11-29T21:04:03.016+00:00",
           "duration_ms":12.5,"status":"ok","attributes":{"http.response.status_code":200,"mesh.attempt":2,"mesh.reason":"503","mesh.endpoint":"10.0.0.2:80"},"events":[]},
          {"span_id":"a000000000000005","parent_id":"a000000000000004","name":"GET /prices/{id}","kind":"server","workload":"pricing","namespace":"shop","start":"2026-11-29T21:04:03.018+00:00",
           "duration_ms":9,"status":"ok","attributes":{"http.response.status_code":200,"mesh.tls":"mesh","mesh.peer":"spiffe://cluster.local/ns/shop/sa/storefront","mesh.policy.decision":"allow"},"events":[]},
          {"span_id":"a000000000000006","parent_id":"b000000000000009","name":"shop.Stock/Get","kind":"server","workload":"stock","namespace":"shop","start":"2026-11-29T21:04:03.02+00:00",
           "duration_ms":1200,"status":"error","attributes":{"rpc.grpc.status_code":14,"mesh.late":true},"events":[]}
        ]}
        """;

    [Theory]
    [InlineData("table")]
    [InlineData("wide")]
    public async Task Traces_List_IsATable(string form)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces"] = (200, List);

        var run = await CliRun.RunAsync(server, "traces", "-o", form, "-n", "shop", "--service", "svc/pricing", "--failed", "--min", "100ms", "--limit", "5");

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check($"traces.{form}.txt", run.Out);
        Assert.Equal("GET /api/v1/traces?service=pricing&namespace=shop&min_ms=100&failed=true&limit=5", Assert.Single(server.Asked));
    }

    [Theory]
    [InlineData("traces -t 5m", "&window=300")]
    [InlineData("traces --from -1h --to 2026-01-31T14:05:00Z", "&from=-3600&to=2026-01-31T14%3A05%3A00Z")]
    [InlineData("traces --from deploy/cart --from -1h --to svc/pricing", "&from=-3600", "source=cart&destination=pricing&")]
    [InlineData("traces -l app=cart,tier!=test", "", "labels=app%3Dcart%2Ctier%21%3Dtest&")]
    public async Task Traces_OfCallsAndTimes_AskForThem(string command, string asked, string before = "")
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces"] = (200, List);

        var run = await CliRun.RunAsync(server, command.Split(' '));

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal($"GET /api/v1/traces?{before}limit=50{asked}", Assert.Single(server.Asked));
    }

    [Theory]
    [InlineData("table")]
    [InlineData("wide")]
    public async Task Show_Trace_IsATree(string form)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces/0af7651916cd43dd8448eb211c80319c"] = (200, Tree);

        var run = await CliRun.RunAsync(server, "traces", "show", "0af7651916cd43dd8448eb211c80319c", "-o", form);

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check($"traces-show.{form}.txt", run.Out);
    }

    [Fact]
    public async Task Traces_ReplicaIsAway_IsSaidBesideThem()
    {
        const string Away = "\"partial\":[{\"replica\":\"mesh-control-plane-1\",\"why\":\"It did not answer within 2 s.\"}]";
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces"] = (200, List.Replace("\"partial\":[]", Away, StringComparison.Ordinal));
        server.Answers["/api/v1/traces/0af7651916cd43dd8448eb211c80319c"] = (200, Tree.Replace("\"spans\":[", $"{Away},\"spans\":[", StringComparison.Ordinal));

        foreach (var run in new[] { await CliRun.RunAsync(server, "traces"), await CliRun.RunAsync(server, "traces", "show", "0af7651916cd43dd8448eb211c80319c") })
        {
            Assert.Equal((0, "mesh: replica mesh-control-plane-1 is missing in this: It did not answer within 2 s."), (run.ExitCode, run.Error.Trim()));
            Assert.NotEmpty(run.Out);
        }
    }

    [Fact]
    public async Task Traces_Json_IsTheItems()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces"] = (200, List);

        var json = await CliRun.RunAsync(server, "traces", "-o", "json");
        var lines = await CliRun.RunAsync(server, "traces", "-o", "jsonl");
        var yaml = await CliRun.RunAsync(server, "traces", "-o", "yaml", "-A", "-n", "shop");
        Assert.Equal(JsonNode.Parse(json.Out)!.AsArray().Count, yaml.Out.Split('\n').Count(l => l.StartsWith("- ", StringComparison.Ordinal)));
        Assert.DoesNotContain("namespace", server.Asked[^1], StringComparison.Ordinal);

        var items = JsonNode.Parse(List)!["items"]!.AsArray();
        Assert.True(JsonNode.DeepEquals(items, JsonNode.Parse(json.Out)));
        Assert.Equal(items.Count, lines.Out.TrimEnd('\n').Split('\n').Length);
        Assert.All(lines.Out.TrimEnd('\n').Split('\n').Index(), line => Assert.True(JsonNode.DeepEquals(items[line.Index], JsonNode.Parse(line.Item))));
    }

    [Fact]
    public async Task Show_UnknownTrace_SaysSo()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces/abc"] = (404, """{"title":"No such trace","detail":"No span of trace 'abc' is kept."}""");

        var run = await CliRun.RunAsync(server, "traces", "show", "abc");

        Assert.Equal((1, ""), (run.ExitCode, run.Out));
        Assert.Contains("no such trace", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Traces_None_HintsAtTheRatio()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/traces"] = (200, """{"items":[]}""");

        var run = await CliRun.RunAsync(server, "traces");

        Assert.Equal((0, ""), (run.ExitCode, run.Out));
        Assert.Contains("Mesh:Traces:Ratio", run.Error, StringComparison.Ordinal);
    }
}
