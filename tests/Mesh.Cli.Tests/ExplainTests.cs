namespace Mesh.Cli.Tests;

public sealed class ExplainTests
{
    private const string Path = "/api/v1/explain/request";

    private const string Denied = """
        {"caller":"spiffe://cluster.local/ns/shop/sa/cart","service":"catalog","namespace":"shop","port":80,"method":"DELETE","path":"/items/7","allowed":false,
         "routing":{"route":"shop/catalog/items","where":"routes.yaml:9","action":"forwarded","backends":[{"namespace":"shop","service":"catalog","port":80,"weight":1,"valid":true}]},
         "verdicts":[{"service":"catalog","namespace":"shop","port":80,"endpoints":["127.0.0.1:1","127.0.0.1:2","127.0.0.1:3","127.0.0.1:4"],"plaintext":false,"allowed":false,"stage":"default",
           "decision":"denied, because no rule allows it","rule":null,"where":null,
           "nearest":[{"rule":"shop/catalog/readers","where":"policies.yaml:12","failed":"method is 'DELETE', wants GET"}],"audit":null}]}
        """;

    [Fact]
    public async Task Denied_SaysWhyAndExits2()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (200, Denied);

        var run = await CliRun.RunAsync(server, "explain", "shop/cart", "svc/catalog", "DELETE", "/items/7", "-H", "x-a: b", "--claim", "sub=me", "--from-ip", "10.0.0.1");

        Assert.Equal((2, string.Empty), (run.ExitCode, run.Error));
        Assert.Equal(
            """
            DENIED  DELETE /items/7
              from    spiffe://cluster.local/ns/shop/sa/cart
              to      shop/catalog:80
              route   shop/catalog/items (routes.yaml:9)
                      shop/catalog:80

            shop/catalog:80 at 127.0.0.1:1 and 3 more
              denied, because no rule allows it
                not shop/catalog/readers (policies.yaml:12)
                    method is 'DELETE', wants GET

            """.ReplaceLineEndings(), run.Out);
        Assert.Equal("GET /api/v1/explain/request?caller=shop%2Fcart&service=catalog&method=DELETE&path=%2Fitems%2F7&source=10.0.0.1&header=x-a%3A%20b&claim=sub%3Dme", Assert.Single(server.Asked));
    }

    [Theory]
    [InlineData("wide", "explain-request-wide.txt")]
    [InlineData("yaml", "explain-request.yaml")]
    [InlineData("jsonl", "explain-request.jsonl")]
    public async Task Forms_HaveAllOfIt(string form, string golden)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (200, Denied);

        var run = await CliRun.RunAsync(server, "explain", "shop/cart", "catalog", "DELETE", "/items/7", "-o", form);

        Assert.Equal((2, string.Empty), (run.ExitCode, run.Error));
        GoldenFile.Check(golden, run.Out);
    }

    [Fact]
    public async Task Allowed_Exits0()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[Path] = (200, Denied.Replace("\"allowed\":false", "\"allowed\":true", StringComparison.Ordinal));

        var run = await CliRun.RunAsync(server, "explain", "shop/cart", "catalog", "DELETE", "/items/7");

        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith("ALLOWED  DELETE /items/7", run.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("error", 2, "1 error, 0 warnings.")]
    [InlineData("warning", 0, "0 errors, 1 warning.")]
    public async Task Lint_ErrorsExit2(string severity, int exit, string last)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/policies/lint"] = (200, $$"""[{"id":"shadowed","severity":"{{severity}}","policy":"AuthorizationPolicy 'shop/catalog'","rule":"readers","where":"policies.yaml:12","message":"It lets nobody in.","fix":"Narrow the Deny rule."}]""");

        var run = await CliRun.RunAsync(server, "policy", "lint");

        Assert.Equal((exit, string.Empty), (run.ExitCode, run.Error));
        Assert.StartsWith($"policies.yaml:12: {severity}: AuthorizationPolicy 'shop/catalog', rule readers (shadowed)", run.Out, StringComparison.Ordinal);
        Assert.EndsWith(last + Environment.NewLine, run.Out, StringComparison.Ordinal);
        Assert.Equal(severity == "error" ? 2 : 3, (await CliRun.RunAsync(server, "policy", "lint", "--strict")).ExitCode);
    }

    [Fact]
    public async Task Lint_NothingFound_SaysSo()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/policies/lint"] = (200, "[]");

        var run = await CliRun.RunAsync(server, "policy", "lint", "-n", "shop");

        Assert.Equal((0, "Nothing found." + Environment.NewLine), (run.ExitCode, run.Out));
        Assert.Equal("GET /api/v1/policies/lint?namespace=shop", Assert.Single(server.Asked));
    }
}
