using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

/// <summary>What the control plane answers (its own golden files) → Golden/*.txt. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed by looking at them.</summary>
public sealed class ConfigExplainTests
{
    private const string Path = "/api/v1/explain";

    [Theory]
    [InlineData("explain")]
    [InlineData("explain-caller")]
    public async Task Explain_Table_AsRecorded(string name)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (200, await File.ReadAllTextAsync(Answer($"{name}.json"), TestContext.Current.CancellationToken));

        var run = await CliRun.RunAsync(server, "config", "explain", "catalog");

        Assert.Equal((0, string.Empty), (run.ExitCode, run.Error));
        var golden = Golden($"{name}.txt");
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            await File.WriteAllTextAsync(golden, run.Out, TestContext.Current.CancellationToken);
        }

        Assert.True(File.Exists(golden), $"{golden} is missing. Run with MESH_UPDATE_GOLDEN=1 and look at it.");
        Assert.Equal(await File.ReadAllTextAsync(golden, TestContext.Current.CancellationToken), run.Out);
    }

    [Fact]
    public async Task Explain_Json_IsTheAnswer()
    {
        await using var server = await FakeControlPlane.StartAsync();
        var answer = await File.ReadAllTextAsync(Answer("explain.json"), TestContext.Current.CancellationToken);
        server.Answers[Path] = (200, answer);

        var run = await CliRun.RunAsync(server, "config", "explain", "catalog", "-o", "json");

        Assert.Equal(0, run.ExitCode);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(answer), JsonNode.Parse(run.Out)));
    }

    [Fact]
    public async Task Explain_Options_AreAskedFor()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (200, """{"service":"catalog","namespace":"shop","caller":null,"ports":[]}""");

        await CliRun.RunAsync(server, "config", "explain", "svc/catalog", "-n", "shop", "--port", "80", "--caller", "shop/storefront");

        Assert.Equal("GET /api/v1/explain?service=catalog&namespace=shop&port=80&caller=shop%2Fstorefront", Assert.Single(server.Asked));
    }

    [Fact]
    public async Task Explain_UnknownService_Exits1_WithSuggestion()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (404, """{"title":"No such service","detail":"There is no Service 'catalogg'. Did you mean 'catalog'?"}""");

        var run = await CliRun.RunAsync(server, "config", "explain", "catalogg");

        Assert.Equal((1, string.Empty), (run.ExitCode, run.Out));
        Assert.Equal("mesh: no such service\n  why: There is no Service 'catalogg'. Did you mean 'catalog'?\n  try: correct what it names\n", run.Error);
    }

    [Fact]
    public async Task Explain_OldControlPlane_IsToldApartFromAnUnknownService()
    {
        await using var server = await FakeControlPlane.StartAsync();

        var run = await CliRun.RunAsync(server, "config", "explain", "catalog");

        Assert.Equal(1, run.ExitCode);
        Assert.Contains("is it a control plane of this version?", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("config", "explain")]
    [InlineData("config", "explain", "a", "b")]
    [InlineData("config", "explain", "a", "--port", "http")]
    [InlineData("config", "explain", "a", "-o", "yaml")]
    public async Task Usage_Wrong_Exits64(params string[] args)
    {
        var run = await CliRun.RunAsync([], args);

        Assert.Equal((64, ""), (run.ExitCode, run.Out));
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
    }

    private static string Answer(string name, [CallerFilePath] string here = "") =>
        System.IO.Path.GetFullPath(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(here)!, "../Mesh.ControlPlane.Tests/Api/Golden", name));

    private static string Golden(string name, [CallerFilePath] string here = "") => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(here)!, "Golden", name);
}
