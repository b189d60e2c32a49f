using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

public sealed class CheckTests
{
    private const string Checks = """
        [
          {"id":"MESH-CHK-001","category":"control plane","description":"certificates are issued","result":"ok","detail":null,"fix":null},
          {"id":"MESH-CHK-014","category":"services","description":"every service has a service account","result":"warning","detail":"Service shop/db has none","fix":"annotate it with meshlib.io/service-account"}
        ]
        """;

    [Fact]
    public async Task Check_WarningsOnly_Exits0()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/checks"] = (200, Checks);

        var run = await CliRun.RunAsync(server, "check");

        Assert.Equal(0, run.ExitCode);
        Assert.Equal(
            """
            control plane
            -------------
            √ certificates are issued

            services
            --------
            ‼ every service has a service account
                Service shop/db has none (MESH-CHK-014)
                fix: annotate it with meshlib.io/service-account

            Status check results are √

            """,
            run.Out,
            ignoreLineEndingDifferences: true);
    }

    [Fact]
    public async Task Check_WarningsStrict_Exits3()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/checks"] = (200, Checks);

        Assert.Equal(3, (await CliRun.RunAsync(server, "check", "--strict")).ExitCode);
    }

    [Fact]
    public async Task Check_Error_Exits2AndJsonSaysNoSuccess()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/checks"] = (200, Checks.Replace("\"warning\"", "\"error\"", StringComparison.Ordinal));

        var run = await CliRun.RunAsync(server, "check", "-o", "json");

        Assert.Equal(2, run.ExitCode);
        var json = JsonNode.Parse(run.Out)!;
        Assert.False((bool)json["success"]!);
        Assert.Equal("MESH-CHK-014", (string?)json["categories"]![1]!["checks"]![0]!["id"]);
        Assert.Equal("success", (string?)json["categories"]![0]!["checks"]![0]!["result"]);
    }

    [Fact]
    public async Task Check_PlainLocale_WritesWords()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/checks"] = (200, Checks);

        var run = await CliRun.RunAsync(new Dictionary<string, string> { ["LANG"] = "C" }, ["check", "--server", server.Url, "--token", FakeControlPlane.Token]);

        Assert.Contains("[ok] certificates are issued", run.Out, StringComparison.Ordinal);
        Assert.All(run.Out, character => Assert.True(character < 128));
    }

    [Fact]
    public async Task ConfigDump_Node_IsAskedForAndPrinted()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/config_dump"] = (200, """{"web~1~shop":{"listener":[]}}""");

        var run = await CliRun.RunAsync(server, "config", "dump", "--node", "web~1~shop");

        Assert.Equal(0, run.ExitCode);
        Assert.NotNull(JsonNode.Parse(run.Out)!["web~1~shop"]);
        Assert.Equal("GET /api/v1/config_dump?node=web~1~shop", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task TokenCreate_PrintsTheTokenAlone()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/tokens"] = (200, """{"token":"abc.def","expires_at":"2030-01-01T00:00:00Z"}""");

        var run = await CliRun.RunAsync(server, "token", "create", "--namespace", "shop", "--service-account", "cart");

        Assert.Equal((0, "abc.def\n"), (run.ExitCode, run.Out));
        var asked = Assert.Single(server.Asked).Split(' ', 3);
        Assert.Equal(["POST", "/api/v1/tokens"], asked[..2]);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse("""{"namespace":"shop","service_account":"cart"}"""), JsonNode.Parse(asked[2])));
    }
}
