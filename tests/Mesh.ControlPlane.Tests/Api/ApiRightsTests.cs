using System.Net;
using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class ApiRightsTests
{
    private static readonly string[] TapRoutes = ["/api/v1/tap", "/api/v1/top"];

    /// <summary>Whoever adds a route that takes another right than its method tells says so here.</summary>
    private static string RightOf(string method, string path) =>
        method != "GET" || path == "/api/v1/audit" ? "change" : TapRoutes.Contains(path) ? "tap" : "view";

    [Fact]
    public async Task EveryRoute_ForEveryRight_IsOpenFromItsOwnRightOn()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var routes = ApiRoutes.Of(controlPlane);
        Assert.True(routes.Count >= 30, $"{routes.Count} routes");
        string[] order = ["view", "tap", "change"];
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(controlPlane.Addresses.Http) };
        var wrong = new List<string>();
        foreach (var (method, path) in routes)
        {
            var needed = Array.IndexOf(order, RightOf(method, path));
            foreach (var right in order.Prepend("none").Prepend("stranger"))
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), path.Replace("{ns}", "x").Replace("{name}", "x").Replace("{id}", "x"));
                if (right != "none")
                {
                    request.Headers.Add("Authorization", $"Bearer {right switch { "view" => controlPlane.Addresses.ViewToken, "tap" => Token(controlPlane, "tap-token"), "change" => controlPlane.Addresses.Token, _ => new string('x', 43) }}");
                }

                using var answer = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
                var expected = right is "none" or "stranger" ? "401" : Array.IndexOf(order, right) < needed ? "403" : "in";
                var got = answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? $"{(int)answer.StatusCode}" : "in";
                if (got != expected)
                {
                    wrong.Add($"{method} {path} with {right}: {got}, not {expected}");
                }
            }
        }

        Assert.Empty(wrong);
    }

    [Fact]
    public async Task Tokens_AreFilesOfTheirOwner_AndOutliveARestart()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-rights-");
        try
        {
            string? view;
            await using (var controlPlane = await TestControlPlane.StartAsync(folder.FullName))
            {
                view = controlPlane.Addresses.ViewToken;
                Assert.Equal(3, new[] { controlPlane.Addresses.Token, view, Token(controlPlane, "tap-token") }.Distinct().Count());
                Assert.Equal($"{controlPlane.Addresses.Http}/#token={view}", controlPlane.Addresses.Dashboard);
                if (!OperatingSystem.IsWindows())
                {
                    foreach (var file in new[] { "view-token", "tap-token", "admin-token" })
                    {
                        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(controlPlane.Data, file)));
                    }
                }
            }

            await using var again = await TestControlPlane.StartAsync(folder.FullName);
            Assert.Equal(view, again.Addresses.ViewToken);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task WhatIsChangedAndWhatWasRefused_StandsInTheAuditLog_WithoutTokens()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var admin = controlPlane.Api();
        using var viewer = controlPlane.Api(controlPlane.Addresses.ViewToken);
        using var rotated = await admin.PostAsync("/api/v1/identity/rotate", null, TestContext.Current.CancellationToken);
        using var seen = await viewer.GetAsync("/api/v1/status", TestContext.Current.CancellationToken);
        using var refused = await viewer.PostAsync("/api/v1/identity/rotate", null, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.Forbidden), (rotated.StatusCode, seen.StatusCode, refused.StatusCode));

        using var audit = JsonDocument.Parse(await admin.GetStringAsync("/api/v1/audit", TestContext.Current.CancellationToken));

        var items = audit.RootElement.GetProperty("items").EnumerateArray().Select(i => $"{i.GetProperty("who")} {i.GetProperty("from")} {i.GetProperty("what")} {i.GetProperty("status")}");
        Assert.Equal(["view-token 127.0.0.1 POST /api/v1/identity/rotate was refused 403", "admin 127.0.0.1 POST /api/v1/identity/rotate 200"], items);
        var file = await File.ReadAllTextAsync(Path.Combine(controlPlane.Data, "audit.jsonl"), TestContext.Current.CancellationToken);
        Assert.DoesNotContain(controlPlane.Addresses.Token, file, StringComparison.Ordinal);
        Assert.DoesNotContain(controlPlane.Addresses.ViewToken!, file, StringComparison.Ordinal);
    }

    [Fact]
    public void AuditLog_HasThreeFilesAtMost_AndReadsTheNewestBack()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-audit-");
        try
        {
            using var data = new DataFolder(folder.FullName);
            AuditLog Open() => new(data, new FakeTimeProvider(), NullLogger<AuditLog>.Instance, maxFileBytes: 1_000);
            var log = Open();
            var context = new DefaultHttpContext();
            for (var i = 0; i < 100; i++)
            {
                log.Write(context, $"thing {i} \"</script>\r\n", 200);
            }

            Assert.Equal(["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2"], folder.GetFiles("audit*").Select(f => f.Name).Order());
            Assert.All(folder.GetFiles("audit*"), f => Assert.InRange(f.Length, 1, 1_001));
            Assert.Equal("thing 99 \"</script>\r\n", Open().Newest[0].What);
            Assert.All(File.ReadAllLines(Path.Combine(folder.FullName, "audit.jsonl")), l => Assert.NotNull(JsonDocument.Parse(l)));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    /// <summary>Comparing takes the same steps whatever the token: each is hashed, and all hashes are compared to their ends.</summary>
    [Fact]
    public void Tokens_AreFoundByWholeValueOnly()
    {
        var tokens = new ApiTokens(new AdminToken("a-very-long-token-that-changes-things"), "view", "tap");

        Assert.Equal(ApiRight.Change, tokens.Find("a-very-long-token-that-changes-things")!.Right);
        Assert.Equal((ApiRight.View, ApiRight.Tap), (tokens.Find("view")!.Right, tokens.Find("tap")!.Right));
        Assert.All(new[] { "", "a", "a-very-long-token-that-changes-thing", "a-very-long-token-that-changes-things ", "VIEW" }, t => Assert.Null(tokens.Find(t)));
        Assert.Null(new ApiTokens(new AdminToken("x"), null, null).Find(""));
    }

    private static string Token(TestControlPlane controlPlane, string file) => File.ReadAllText(Path.Combine(controlPlane.Data, file), Encoding.UTF8);
}
