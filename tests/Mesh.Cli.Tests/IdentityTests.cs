using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;

namespace Mesh.Cli.Tests;

/// <summary>What the control plane answers about certificates → Golden/*.txt. Rewritten with MESH_UPDATE_GOLDEN=1, then reviewed by looking at them.</summary>
public sealed class IdentityTests
{
    private const string Workloads = """
        [
          {"identity":"spiffe://cluster.local/ns/shop/sa/cart","node":"cart~host-1~shop","serial":"5f00aa","issued_at":"2030-01-01T00:00:00+00:00","not_before":"2029-12-31T23:59:00+00:00",
           "not_after":"2030-01-02T00:00:00+00:00","hours_left":23.54,"key":"EC P-256","issuer":"CN=mesh issuer 4a1b2c3d,O=cluster.local","root":"0123456789abcdef","attested":"join token",
           "connected":true,"revoked":false,"certificates":2},
          {"identity":"spiffe://cluster.local/ns/pay/sa/ledger","node":"127.0.0.1:5000","serial":"61","issued_at":"2030-01-01T00:00:00+00:00","not_before":"2029-12-31T23:59:00+00:00",
           "not_after":"2030-01-01T01:00:00+00:00","hours_left":0.5,"key":null,"issuer":null,"root":null,"attested":null,"connected":false,"revoked":true,"certificates":1}
        ]
        """;

    private const string Shown = """
        [{"workload":{"identity":"spiffe://cluster.local/ns/shop/sa/cart","node":"cart~host-1~shop","serial":"5f00aa","issued_at":"2030-01-01T00:00:00+00:00","not_before":"2029-12-31T23:59:00+00:00",
           "not_after":"2030-01-02T00:00:00+00:00","hours_left":23.54,"key":"EC P-256","issuer":"CN=mesh issuer 4a1b2c3d,O=cluster.local","root":"0123456789abcdef","attested":"Kubernetes pod cart-7d9f (5e6e)",
           "connected":true,"revoked":false,"certificates":2},
          "chain":[
           {"role":"leaf","subject":"","serial":"5f00aa","names":["URI:spiffe://cluster.local/ns/shop/sa/cart"],"key":"EC P-256","not_before":"2029-12-31T23:59:00+00:00","not_after":"2030-01-02T00:00:00+00:00","known":true},
           {"role":"issuer","subject":"CN=mesh issuer 4a1b2c3d,O=cluster.local","serial":null,"names":[],"key":null,"not_before":null,"not_after":null,"known":false},
           {"role":"root","subject":"CN=mesh root 77777777,O=cluster.local","serial":"77777777aa","names":["URI:spiffe://cluster.local"],"key":"EC P-384","not_before":"2029-01-01T00:00:00+00:00","not_after":"2039-01-01T00:00:00+00:00","known":true}]}]
        """;

    private const string Distributing = """
        {"phase":"distributing","since":"2030-01-01T00:00:00+00:00","origin":"own",
         "roots":[{"id":"0123456789abcdef","role":"signing","subject":"CN=mesh root 77777777,O=cluster.local","serial":"77","key":"EC P-256","not_before":"2029-01-01T00:00:00+00:00","not_after":"2039-01-01T00:00:00+00:00"},
                  {"id":"fedcba9876543210","role":"next","subject":"CN=mesh root 88888888,O=cluster.local","serial":"88","key":"EC P-256","not_before":"2030-01-01T00:00:00+00:00","not_after":"2040-01-01T00:00:00+00:00"}],
         "issuer":{"id":"aa","role":null,"subject":"CN=mesh issuer 4a1b2c3d,O=cluster.local","serial":"4a","key":"EC P-256","not_before":"2029-12-01T00:00:00+00:00","not_after":"2030-03-01T00:00:00+00:00"},
         "issuer_renews_at":"2030-01-15T00:00:00+00:00",
         "waiting":[{"identity":"spiffe://cluster.local/ns/shop/sa/cart","node":"cart~host-1~shop","connected":true,"for":"roots","until":null},
                    {"identity":"spiffe://cluster.local/ns/pay/sa/ledger","node":"127.0.0.1:5000","connected":false,"for":"leaf","until":"2030-01-01T01:00:00+00:00"}],
         "next":"root fedcba9876543210 signs as soon as every workload trusts it","workloads":2,"problem":null}
        """;

    private const string Stable = """
        {"phase":"stable","since":"2030-01-02T00:00:00+00:00","origin":"own",
         "roots":[{"id":"fedcba9876543210","role":"signing","subject":"CN=mesh root 88888888,O=cluster.local","serial":"88","key":"EC P-256","not_before":"2030-01-01T00:00:00+00:00","not_after":"2040-01-01T00:00:00+00:00"}],
         "issuer":{"id":"bb","role":null,"subject":"CN=mesh issuer 5a1b2c3d,O=cluster.local","serial":"5a","key":"EC P-256","not_before":"2030-01-01T00:00:00+00:00","not_after":"2030-04-01T00:00:00+00:00"},
         "issuer_renews_at":"2030-02-15T00:00:00+00:00","waiting":[],"next":"a new root is made by itself at 2036-09-01 00:00:00Z","workloads":2,"problem":null}
        """;

    [Theory]
    [InlineData("identity-list", "/api/v1/identity/workloads", Workloads, "identity", "list")]
    [InlineData("identity-show", "/api/v1/identity/workloads/show", Shown, "identity", "show", "shop/cart")]
    [InlineData("identity-rotate-root", "/api/v1/identity/root/rotate", Distributing, "identity", "rotate", "--root")]
    public async Task Table_AsRecorded(string name, string path, string answer, params string[] args)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers[path] = (200, answer);

        var run = await CliRun.RunAsync(server, args);

        Assert.Equal((0, string.Empty), (run.ExitCode, run.Error));
        var golden = Golden($"{name}.txt");
        if (Environment.GetEnvironmentVariable("MESH_UPDATE_GOLDEN") == "1")
        {
            await File.WriteAllTextAsync(golden, run.Out, TestContext.Current.CancellationToken);
        }

        Assert.True(File.Exists(golden), $"{golden} is missing. Run with MESH_UPDATE_GOLDEN=1 and look at it.");
        Assert.Equal(await File.ReadAllTextAsync(golden, TestContext.Current.CancellationToken), run.Out);
        var json = await CliRun.RunAsync(server, [.. args, "-o", "json"]);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(answer), JsonNode.Parse(json.Out)));
    }

    [Fact]
    public async Task List_Namespace_ShowsItsOwnOnly()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/workloads"] = (200, Workloads);

        var run = await CliRun.RunAsync(server, "identity", "list", "-n", "pay", "-o", "json");

        Assert.Equal("127.0.0.1:5000", (string?)Assert.Single(JsonNode.Parse(run.Out)!.AsArray())!["node"]);
    }

    [Fact]
    public async Task Rotate_Leaves_AsksOnce_AndWaitsForWhoIsConnected()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/rotate"] = (200, """{"issued_after":"2030-01-01T00:00:00+00:00"}""");
        server.Answers["/api/v1/identity/workloads"] = (200, Workloads);

        var run = await CliRun.RunAsync(server, "identity", "rotate", "--wait");

        Assert.Equal((0, string.Empty), (run.ExitCode, run.Out));
        Assert.Contains("All 1 connected workloads have new certificates.", run.Error, StringComparison.Ordinal);
        Assert.Single(server.Asked, a => a.StartsWith("POST", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RotateRoot_UnderWay_IsFollowedWithWait_AndRefusedWithout()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/root/rotate"] = (409, """{"title":"Not now","detail":"A change of the root is under way since 2030-01-01."}""");
        server.Answers["/api/v1/identity/root"] = (200, Distributing);

        var refused = await CliRun.RunAsync(server, "identity", "rotate", "--root");
        Assert.Equal((1, string.Empty), (refused.ExitCode, refused.Out));
        Assert.Contains("under way since 2030-01-01", refused.Error, StringComparison.Ordinal);

        var following = CliRun.RunAsync(server, "identity", "rotate", "--root", "--wait");
        await Mesh.Testing.Eventually.Async(() => server.Asked.Count >= 3, "the second look");
        server.Answers["/api/v1/identity/root"] = (200, Stable);
        var run = await following;
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("following it", run.Error, StringComparison.Ordinal);
        Assert.Contains("it has not taken the roots", run.Error, StringComparison.Ordinal);
        Assert.StartsWith("phase   stable", run.Out, StringComparison.Ordinal);
        Assert.Single(server.Asked, a => a.StartsWith("POST", StringComparison.Ordinal));
    }

    [Fact]
    public async Task RotateRoot_NotDoneInTime_Exits124()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/root"] = (200, Distributing);

        var run = await CliRun.RunAsync(server, "identity", "rotate", "--root", "--wait", "--timeout", "300ms");

        Assert.Equal((124, string.Empty), (run.ExitCode, run.Out));
        Assert.Contains("goes on by itself", run.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("POST", """{"id":"shop/cart","serial":null,"reason":"left"}""", "shop/cart", "--reason", "left")]
    [InlineData("POST", """{"id":null,"serial":"ab","reason":null}""", "--serial", "ab")]
    [InlineData("DELETE", """{"id":"shop/cart","serial":null}""", "shop/cart", "--undo")]
    public async Task Revoke_AsksWhatWasSaid(string method, string body, params string[] args)
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/revocations"] = (200, """{"id":"spiffe://cluster.local/ns/shop/sa/cart","serial":null}""");

        var run = await CliRun.RunAsync(server, ["identity", "revoke", .. args]);

        Assert.Equal((0, string.Empty), (run.ExitCode, run.Out));
        Assert.StartsWith("spiffe://cluster.local/ns/shop/sa/cart is ", run.Error, StringComparison.Ordinal);
        var asked = Assert.Single(server.Asked).Split(' ', 3);
        Assert.Equal([method, "/api/v1/identity/revocations"], asked[..2]);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(body), JsonNode.Parse(asked[2])), asked[2]);
    }

    [Theory]
    [InlineData("identity", "revoke")]
    [InlineData("identity", "revoke", "shop/cart", "--serial", "ab")]
    [InlineData("identity", "revoke", "shop/cart", "--undo", "--reason", "x")]
    [InlineData("identity", "show")]
    [InlineData("identity", "rotate", "--timeout", "soon")]
    [InlineData("identity", "list", "-o", "yaml")]
    public async Task Usage_Wrong_Exits64(params string[] args)
    {
        var run = await CliRun.RunAsync([], args);

        Assert.Equal((64, ""), (run.ExitCode, run.Out));
        Assert.Contains("--help", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_Unknown_Exits1()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/api/v1/identity/workloads/show"] = (404, """{"title":"No such workload","detail":"No workload has a certificate for 'x'."}""");
        Assert.Equal(1, (await CliRun.RunAsync(server, "identity", "show", "shop/x")).ExitCode);
    }

    private static string Golden(string name, [CallerFilePath] string here = "") => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(here)!, "Golden", name);
}
