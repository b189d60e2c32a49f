using System.Net;
using Mesh.Cli.Cluster;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Tests;

public sealed class DashboardTests
{
    [Fact]
    public async Task ControlPlane_ByItsAddress_PrintsALinkThatSignsIn()
    {
        await using var server = await FakeControlPlane.StartAsync();
        server.Answers["/"] = (200, "<!doctype html>");

        var run = await CliRun.RunAsync(server, "dashboard");

        Assert.Equal((0, $"{server.Url.TrimEnd('/')}/#token={FakeControlPlane.Token}\n"), (run.ExitCode, run.Out));
        Assert.Contains("no desktop", run.Error, StringComparison.Ordinal);
        Assert.Equal(string.Empty, (await CliRun.RunAsync(server, "dashboard", "--url")).Error);
    }

    [Fact]
    public async Task ControlPlane_WithoutThePage_SaysHowToGetIt()
    {
        await using var server = await FakeControlPlane.StartAsync();

        var run = await CliRun.RunAsync(server, "dashboard");

        Assert.Equal((1, string.Empty), (run.ExitCode, run.Out));
        Assert.Contains("has no dashboard", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Port_ThatIsNone_IsRefused() =>
        Assert.Equal(64, (await CliRun.RunAsync([], ["dashboard", "--port", "70000", "--server", "http://127.0.0.1:1"])).ExitCode);

    /// <summary>An API server that hands on to a control plane, as told by what it was sent.</summary>
    [Fact]
    public async Task Forwarder_HandsOnWithTheMeshsToken_ToWhoeverHasItsOwn()
    {
        await using var cluster = await FakeControlPlane.StartAsync();
        const string Proxy = "/api/v1/namespaces/mesh-system/services/http:mesh-control-plane:15014/proxy";
        cluster.Answers[Proxy + "/api/v1/overview"] = (200, """{"status":{}}""");
        cluster.Answers[Proxy + "/"] = (200, "<!doctype html>");
        using var kube = KubeApi.At(new Uri(cluster.Url), FakeControlPlane.Token, null, TimeProvider.System);
        await using var forwarder = await DashboardForwarder.StartAsync(0, new ServiceProxy(kube, "the-mesh's-own"), TestContext.Current.CancellationToken);
        Assert.True(forwarder.Address.IsLoopback);
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = forwarder.Address };

        async Task<(HttpStatusCode, string)> AskAsync(string path, string? token, string? host = null)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Authorization = token is null ? null : new("Bearer", token);
            request.Headers.Host = host;
            using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }

        Assert.Equal((HttpStatusCode.OK, """{"status":{}}"""), await AskAsync("/api/v1/overview?window=60", forwarder.Token));
        Assert.Equal($"GET {Proxy}/api/v1/overview?window=60", cluster.Asked[^1]);
        Assert.Equal((HttpStatusCode.OK, "<!doctype html>"), await AskAsync("/", null));
        var asked = cluster.Asked.Count;
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("/api/v1/overview", null)).Item1);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("/api/v1/overview", "the-mesh's-own")).Item1);
        Assert.Equal(HttpStatusCode.Unauthorized, (await AskAsync("/api/v1/overview", forwarder.Token + "x")).Item1);
        Assert.Equal(HttpStatusCode.MisdirectedRequest, (await AskAsync("/api/v1/overview", forwarder.Token, "evil.example")).Item1);
        Assert.Equal(asked, cluster.Asked.Count);
    }
}
