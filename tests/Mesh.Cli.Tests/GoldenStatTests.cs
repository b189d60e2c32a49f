using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

/// <summary>stat, routes and edges in all their forms.</summary>
public sealed class GoldenStatTests
{
    private const string Pairs = """
        [
          {"source":"cart","source_namespace":"shop","destination":"pricing","destination_namespace":"shop","requests":1200,"success_rate":0.9917,"effective_success_rate":0.9975,
           "rps":20.0,"p50_ms":3.1,"p95_ms":9.8,"p99_ms":14.2,"mtls_share":1.0,"retries":7},
          {"source":"unmeshed","source_namespace":"","destination":"storefront","destination_namespace":"shop","requests":60,"success_rate":1,"effective_success_rate":1,
           "rps":1.0,"p50_ms":1,"p95_ms":2,"p99_ms":3,"mtls_share":0,"retries":0}
        ]
        """;

    private const string Workloads = """
        [
          {"service":"pricing","namespace":"shop","address":"10.0.0.7:80","identity":"spiffe://cluster.local/ns/shop/sa/pricing","meshed":true,"ready":true,"reason":null,"labels":{"app":"pricing","tier":"gold"}},
          {"service":"pricing","namespace":"shop","address":"10.0.0.8:80","identity":"spiffe://cluster.local/ns/shop/sa/pricing","meshed":false,"ready":true,"reason":"why","labels":{"app":"pricing"}},
          {"service":"cart","namespace":"shop","address":"10.0.0.9:80","identity":"spiffe://cluster.local/ns/shop/sa/cart","meshed":true,"ready":true,"reason":null,"labels":{"app":"cart"}}
        ]
        """;

    private const string Golden = """
        { "from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:00:30Z","step_s":10,"reaches_back_to":"2026-01-01T00:00:00Z","store":"disk","partial":[PARTIAL],"gaps":[],
          "items":[
            {"KEYS"
             "requests":1200,"failures":3,"cancelled":0,"attempts":1260,"attempt_failures":10,"retries":60,"success_rate":0.9917,"effective_success_rate":0.9975,"rps":20.0,
             "p50_ms":3.1,"p95_ms":9.8,"p99_ms":14.2,"mtls_share":1.0,"connections":2,"opened_connections":3,"open_connections":OPEN,"received_bytes":6000,"sent_bytes":90}
          ] }
        """;

    [Theory]
    [InlineData("stat-svc.txt", "svc")]
    [InlineData("stat-svc-wide.txt", "svc/pricing", "-o", "wide")]
    [InlineData("stat-selector.txt", "svc", "-l", "tier=gold")]
    public async Task Stat_OfServices_IsARowEach(string golden, params string[] args)
    {
        await using var server = await StartAsync(""" "destination":"pricing","destination_namespace":"shop","view":"client", """);
        var run = await CliRun.RunAsync(server, ["stat", .. args]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check(golden, run.Out);
        Assert.Contains(server.Asked, a => a.StartsWith("GET /api/v1/golden?by=service", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Stat_OfAWorkload_AsksForWhatItSends()
    {
        await using var server = await StartAsync(""" "source":"cart","source_namespace":"shop","view":"client", """);
        var run = await CliRun.RunAsync(server, "stat", "workload/cart", "--to", "svc/pricing", "-n", "shop", "-t", "1m");
        GoldenFile.Check("stat-workload.txt", run.Out);
        Assert.Contains("GET /api/v1/golden?by=workload&source=cart&source_namespace=shop&destination=pricing&window=60", server.Asked);
    }

    [Theory]
    [InlineData("tier=gold", 1)]
    [InlineData("tier", 1)]
    [InlineData("!tier", 1)]
    [InlineData("tier in (silver,gold),app", 1)]
    [InlineData("tier notin (gold)", 1)]
    [InlineData("app=cart", 0)]
    [InlineData("app!=pricing", 0)]
    [InlineData("app=pricing,zone", 0)]
    public async Task Routes_Selector_IsOfTheService(string labels, int rows)
    {
        await using var server = await StartAsync(""" "destination":"pricing","destination_namespace":"shop","route":"pricing/0","view":"client", """);
        var run = await CliRun.RunAsync(server, "routes", "pricing", "-l", labels, "-o", "jsonl");
        Assert.Equal((0, rows), (run.ExitCode, run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length));
    }

    [Theory]
    [InlineData("routes.txt")]
    [InlineData("routes-wide.txt", "-o", "wide")]
    [InlineData("routes.yaml", "-o", "yaml")]
    public async Task Routes_OfAService_AreARowEach(string golden, params string[] args)
    {
        await using var server = await StartAsync(""" "destination":"pricing","destination_namespace":"shop","route":"pricing/0","view":"client", """);
        var run = await CliRun.RunAsync(server, ["routes", "pricing", .. args]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check(golden, run.Out);
        Assert.Equal("GET /api/v1/golden?by=route&destination=pricing&window=30", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Edges_Wide_HaveIdentities()
    {
        await using var server = await StartAsync(PairKeys);
        server.Answers["/api/v1/security"] = (200, """
            {"mtls":[{"source":"cart","source_namespace":"shop","destination":"pricing","destination_namespace":"shop","requests":1200,"mtls_share":1,
              "source_identity":"spiffe://cluster.local/ns/shop/sa/cart","destination_identity":"spiffe://cluster.local/ns/shop/sa/pricing"}]}
            """);
        var run = await CliRun.RunAsync(server, "edges", "-o", "wide");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check("edges-wide.txt", run.Out);
    }

    [Fact]
    public async Task Filters_NarrowPairs_AndFormsAreData()
    {
        await using var server = await StartAsync(string.Empty);
        var json = await CliRun.RunAsync(server, "stat", "--from", "cart", "--to", "pricing", "-o", "json");
        Assert.True(JsonNode.DeepEquals(new JsonArray(JsonNode.Parse(Pairs)![0]!.DeepClone()), JsonNode.Parse(json.Out)));
        var lines = await CliRun.RunAsync(server, "edges", "-o", "jsonl");
        Assert.Equal(2, lines.Out.Trim().Split('\n').Length);
        Assert.All(lines.Out.Trim().Split('\n'), l => Assert.NotNull(JsonNode.Parse(l)!["source"]));
        var labelled = await CliRun.RunAsync(server, "edges", "-l", "app=cart", "-o", "jsonl");
        Assert.Single(labelled.Out.Trim().Split('\n'));
    }

    [Theory]
    [InlineData("stat-wide.txt", "stat", "-o", "wide")]
    [InlineData("stat-past-wide.txt", "stat", "-o", "wide", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:30Z")]
    public async Task Stat_Wide_HasConnectionsThatAreNoHttp(string golden, params string[] args)
    {
        await using var server = await StartAsync(PairKeys, open: args.Length > 3 ? "null" : "1");
        var run = await CliRun.RunAsync(server, args);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        GoldenFile.Check(golden, run.Out);
    }

    [Theory]
    [InlineData("by=pair&from=2026-01-01T10%3A00%3A00Z&to=2026-01-01T11%3A30%3A00.5Z", "stat", "--from", "cart", "--from", "2026-01-01T10:00:00Z", "--to", "2026-01-01T12:30:00.5+01:00", "-o", "json")]
    [InlineData("by=pair&from=-7200&to=-3600", "edges", "--from=-2h", "--to=-1h")]
    [InlineData("by=pair&from=-90", "edges", "--from", "-90", "--to", "pricing")]
    [InlineData("by=route&destination=pricing&source=cart&from=-86400", "routes", "pricing", "--from", "-1d", "--from", "cart")]
    [InlineData("by=service&destination=pricing&to=-60", "stat", "svc", "--to", "pricing", "--to", "-60s")]
    [InlineData("by=workload&from=-604800", "stat", "workload", "--from", "-7d")]
    public async Task Moments_StandBesideNames(string asked, params string[] args)
    {
        await using var server = await StartAsync(PairKeys, open: "null");
        var run = await CliRun.RunAsync(server, args);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("GET /api/v1/golden?" + asked, server.Asked);
        if (args.Contains("json"))
        {
            Assert.True(JsonNode.DeepEquals(new JsonArray(JsonNode.Parse(Pairs)![0]!.DeepClone()), WithRetries(JsonNode.Parse(run.Out)!, 7)));
        }
    }

    [Fact]
    public async Task Past_SaysWhatIsNotKept()
    {
        await using var server = await StartAsync(PairKeys, open: "null");
        server.Answers["/api/v1/security"] = (200, """{"past":true,"mtls":[{"source":"cart","source_namespace":"shop","destination":"pricing","destination_namespace":"shop","source_identity":null,"destination_identity":null}]}""");
        server.Answers["/api/v1/golden"] = (200, server.Answers["/api/v1/golden"].Item2.Replace("\"reaches_back_to\":\"2026-01-01T00:00:00Z\"", "\"reaches_back_to\":\"2026-01-01T00:20:00Z\"", StringComparison.Ordinal));
        var run = await CliRun.RunAsync(server, "edges", "-o", "wide", "--from", "2026-01-01T00:00:00Z", "--to", "2026-01-01T00:00:30Z");
        GoldenFile.Check("edges-past-wide.txt", run.Out);
        Assert.Contains("numbers reach back to 2026-01-01T00:20:00Z, not to 2026-01-01T00:00:00Z", run.Error, StringComparison.Ordinal);
        Assert.Contains("which identities stood behind these names then is not kept", run.Error, StringComparison.Ordinal);
        Assert.Contains("GET /api/v1/security?from=2026-01-01T00%3A00%3A00Z&to=2026-01-01T00%3A00%3A30Z", server.Asked);
    }

    [Fact]
    public async Task MissingReplica_IsSaidBesideTheData()
    {
        await using var server = await StartAsync(""" "destination":"pricing","destination_namespace":"shop","route":"r","view":"client", """, """{"replica":"cp-1","why":"It did not answer within 2 s."}""");
        var run = await CliRun.RunAsync(server, "routes", "pricing", "-o", "json");
        Assert.Equal(0, run.ExitCode);
        Assert.Single(JsonNode.Parse(run.Out)!.AsArray());
        Assert.Contains("cp-1", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("stat", "moon/x")]
    [InlineData("routes", "workload/x")]
    [InlineData("routes")]
    [InlineData("stat", "-o", "xml")]
    [InlineData("edges", "-l", "=x")]
    [InlineData("stat", "--from", "a", "--from", "b")]
    [InlineData("stat", "--from", "-1h", "--from", "-2h")]
    [InlineData("stat", "--from", "12:99")]
    [InlineData("stat", "--to", "-soon")]
    [InlineData("edges", "--from", "-1h", "-t", "5m")]
    [InlineData("edges", "--to", "-1h", "--watch")]
    public async Task WrongWords_AreUsageErrors(params string[] args)
    {
        await using var server = await StartAsync(string.Empty);
        Assert.Equal(ExitCodes.Usage, (await CliRun.RunAsync(server, args)).ExitCode);
        Assert.Empty(server.Asked);
    }

    private const string PairKeys = """ "source":"cart","source_namespace":"shop","destination":"pricing","destination_namespace":"shop","view":"client", """;

    /// <summary>The made-up items have more of them than the made-up pairs.</summary>
    private static JsonNode WithRetries(JsonNode pairs, int retries)
    {
        foreach (var pair in pairs.AsArray())
        {
            pair!["retries"] = retries;
        }

        return pairs;
    }

    private static async Task<FakeControlPlane> StartAsync(string keys, string partial = "", string open = "1")
    {
        var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/pairs"] = (200, Pairs);
        server.Answers["/api/v1/workloads"] = (200, Workloads);
        server.Answers["/api/v1/golden"] = (200, Golden.Replace("\"KEYS\"", keys, StringComparison.Ordinal).Replace("PARTIAL", partial, StringComparison.Ordinal).Replace("OPEN", open, StringComparison.Ordinal));
        return server;
    }
}
