using System.Text.Json.Nodes;
using Mesh.Testing;

namespace Mesh.Cli.Tests;

public sealed class TapTests
{
    private const string Requests = """
        event: notice
        data: {"text":"Never shown, because they may hold secrets: authorization."}

        event: request
        data: {"at":"2026-11-29T12:00:00Z","side":"client","source":"cart","source_namespace":"shop","instance":"cart~1~shop","destination":"pricing","destination_namespace":"shop","peer":"spiffe://cluster.local/ns/shop/sa/pricing","endpoint":"127.0.0.1:20017","method":"GET","authority":"pricing","path":"/prices/7","route":"pricing/0","status":200,"grpc_status":null,"error":null,"latency_ms":3.14,"attempts":1,"tls":"mesh","trace_id":"0af7651916cd43dd8448eb211c80319c","request_headers":{"x-user":"ann lee","accept":"…"},"response_headers":{},"failed":false,"new_field":1}

        event: request
        data: {"at":"2026-11-29T12:00:01Z","side":"server","source":"unmeshed","source_namespace":"","instance":"web~1~shop","destination":"web","destination_namespace":"shop","peer":"10.0.0.9","endpoint":"127.0.0.1:20001","method":"POST","authority":"web","path":"/\u001b]0;owned\u0007 x","route":null,"status":503,"grpc_status":14,"error":"timeout","latency_ms":1234.5,"attempts":3,"tls":"none","trace_id":null,"request_headers":{},"response_headers":{}}

        event: open
        data: {"at":"2026-11-29T12:00:02Z","side":"client","source":"cart","source_namespace":"shop","instance":"cart~1~shop","destination":"pricing","destination_namespace":"shop","peer":"spiffe://cluster.local/ns/shop/sa/pricing","endpoint":"127.0.0.1:20017","method":"POST","authority":"pricing","path":"/shop.Prices/Watch","route":"pricing/0","status":200,"grpc_status":null,"error":null,"latency_ms":1042.5,"attempts":1,"tls":"mesh","trace_id":null,"request_headers":{},"response_headers":{},"failed":false,"open":true,"stream":"cart~1~shop/7"}

        event: request
        data: {"at":"2026-11-29T12:00:02Z","side":"client","source":"cart","source_namespace":"shop","instance":"cart~1~shop","destination":"pricing","destination_namespace":"shop","peer":"spiffe://cluster.local/ns/shop/sa/pricing","endpoint":"127.0.0.1:20017","method":"POST","authority":"pricing","path":"/shop.Prices/Watch","route":"pricing/0","status":200,"grpc_status":0,"error":null,"latency_ms":9042.5,"attempts":1,"tls":"mesh","trace_id":null,"request_headers":{},"response_headers":{},"failed":false,"open":false,"stream":"cart~1~shop/7"}

        event: stats
        data: {"data_planes":2,"sent":2,"dropped":12,"sampled":0.14}


        """;

    private const string Top = """
        event: top
        data: {"items":[],"seen":0,"sampled":1}

        event: top
        data: {"items":[{"source":"cart","source_namespace":"shop","destination":"pricing","destination_namespace":"shop","method":"GET","path":"/prices/7","count":41,"best_ms":1.5,"worst_ms":12.25,"last_ms":2,"success_rate":0.975},{"source":"unmeshed","source_namespace":"","destination":"web","destination_namespace":"shop","method":"GET","path":"/\u001b[2Jx","count":3,"best_ms":0.25,"worst_ms":1,"last_ms":1,"success_rate":1}],"seen":44,"sampled":0.5}


        """;

    [Theory]
    [InlineData("table")]
    [InlineData("wide")]
    public async Task Tap_WritesALineForEachRequest_AndNothingOfATerminalsLanguage(string form)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tap"] = (200, Requests);
        server.MediaType = ControlPlaneApi.EventStream;

        var run = await CliRun.RunAsync(server, "tap", "deploy/cart", "-n", "shop", "--headers", "x-user,authorization", "-o", form);

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check($"tap-{form}.txt", run.Out);
        Assert.DoesNotContain('\u001b', run.Out);
        Assert.Contains("Never shown", run.Error, StringComparison.Ordinal);
        Assert.Contains("12 more requests were not shown", run.Error, StringComparison.Ordinal);
        Assert.Equal("GET /api/v1/tap?namespace=shop&workload=cart&headers=x-user%2Cauthorization", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Tap_Json_IsOneArray_JsonlIsAnObjectALine_EachUnchanged()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tap"] = (200, Requests);
        server.MediaType = ControlPlaneApi.EventStream;

        var array = JsonNode.Parse((await CliRun.RunAsync(server, "tap", "-o", "json")).Out)!.AsArray();
        var lines = (await CliRun.RunAsync(server, "tap", "-o", "jsonl", "--max", "1")).Out;

        // What is shown while it goes on is shown again at its end, and is one request.
        var yaml = (await CliRun.RunAsync(server, "tap", "-o", "yaml", "-t", "30s")).Out;
        Assert.Equal(array.Count, yaml.Split('\n').Count(l => l.StartsWith("- ", StringComparison.Ordinal)));
        Assert.EndsWith("for_s=30", server.Asked[^1], StringComparison.Ordinal);
        Assert.Equal(4, array.Count);
        Assert.Equal(3, (await CliRun.RunAsync(server, "tap", "-o", "jsonl", "--max", "3")).Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal(1, (int)array[0]!["new_field"]!);
        Assert.True(JsonNode.DeepEquals(array[0], JsonNode.Parse(Assert.Single(lines.Split('\n', StringSplitOptions.RemoveEmptyEntries)))));
    }

    [Theory]
    [InlineData("tap cart --to pricing -n shop", "source=cart&source_namespace=shop&destination=pricing")]
    [InlineData("tap pricing --from cart", "source=cart&destination=pricing")]
    [InlineData("tap svc/pricing -n bank", "destination=pricing&destination_namespace=bank")]
    [InlineData("tap ns/shop --status 5xx --min 100ms --max-rps 5", "namespace=shop&status=5xx&min_ms=100&max_rps=5")]
    [InlineData("tap -A --method get --path /a* --for 30s", "method=get&path=%2Fa%2A&for_s=30")]
    [InlineData("top cart --for 1m", "workload=cart&for_s=60")]
    [InlineData("top -l app=cart,tier!=test -n shop", "namespace=shop&labels=app%3Dcart%2Ctier%21%3Dtest&for_s=10")]
    [InlineData("tap svc/pricing --selector zone,!old", "destination=pricing&labels=zone%2C%21old")]
    public async Task Question_IsAskedInTheApisWords(string command, string query)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tap"] = server.Answers["/api/v1/top"] = (200, "");
        server.MediaType = ControlPlaneApi.EventStream;

        var run = await CliRun.RunAsync(server, command.Split(' '));

        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal($"GET /api/v1/{command[..3]}?{query}", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Tap_BadStatus_IsUsage() => Assert.Equal(
        64, (await CliRun.RunAsync(new Dictionary<string, string> { ["MESH_SERVER"] = "http://127.0.0.1:1" }, ["tap", "--status", "often"])).ExitCode);

    [Fact]
    public async Task Tap_TooMany_SaysWhatTheControlPlaneSays()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tap"] = (429, """{"title":"Too many taps","detail":"8 taps run already"}""");

        var run = await CliRun.RunAsync(server, "tap");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("8 taps run already", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tap_Interrupted_EndsAs130_AndItsArrayIsWhole()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tap"] = (200, Requests);
        server.MediaType = ControlPlaneApi.EventStream;
        server.StaysOpen = true;
        using var interrupt = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var environment = new Dictionary<string, string> { ["MESH_SERVER"] = server.Url, ["MESH_TOKEN"] = FakeControlPlane.Token };

        var running = CliRun.RunAsync(environment, ["tap", "-o", "json"], cancellationToken: interrupt.Token);
        await Eventually.Async(() => server.Sent || running.IsCompleted, "the stream was sent");
        await interrupt.CancelAsync();

        var run = await running.WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Equal(130, run.ExitCode);
        Assert.IsType<JsonArray>(JsonNode.Parse(run.Out));
    }

    [Theory]
    [InlineData("top.txt")]
    [InlineData("top-wide.txt", "-o", "wide")]
    public async Task Top_WithoutTerminal_IsOneTable(string golden, params string[] args)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/top"] = (200, Top);
        server.MediaType = ControlPlaneApi.EventStream;

        var run = await CliRun.RunAsync(server, ["top", .. args]);

        Assert.Equal(0, run.ExitCode);
        GoldenFile.Check(golden, run.Out);
        Assert.Contains("50.00% of the requests", run.Error, StringComparison.Ordinal);
        Assert.Equal("GET /api/v1/top?for_s=10", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Top_ForPrograms_IsTheLastCount()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/top"] = (200, Top);
        server.MediaType = ControlPlaneApi.EventStream;

        var yaml = await CliRun.RunAsync(server, "top", "-o", "yaml", "-t", "1m");
        var json = await CliRun.RunAsync(server, "top", "-o", "json", "-t", "1m");

        GoldenFile.Check("top.yaml", yaml.Out);
        Assert.Equal(yaml.Out.Split('\n').Count(l => l.StartsWith("- ", StringComparison.Ordinal)), JsonNode.Parse(json.Out)!.AsArray().Count);
        Assert.All(server.Asked, a => Assert.Equal("GET /api/v1/top?for_s=60", a));
    }

    [Fact]
    public async Task Top_OnATerminal_IsDrawnAgain_UntilTheStreamEnds()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/top"] = (200, Top);
        server.MediaType = ControlPlaneApi.EventStream;
        var environment = new Dictionary<string, string> { ["MESH_SERVER"] = server.Url, ["MESH_TOKEN"] = FakeControlPlane.Token };

        var run = await CliRun.RunAsync(environment, ["top"], isTerminal: true);

        Assert.Equal("GET /api/v1/top", Assert.Single(server.Asked));
        Assert.Equal(2, run.Out.Split("\u001b[H\u001b[2J").Length - 1);
        // Only ours: paths hold none.
        Assert.Equal(4, run.Out.Count(c => c == '\u001b'));
    }
}
