using System.Text.Json;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>A .NET service with the mesh in its process, and apps of other languages behind sidecars: one mesh.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class DotnetTests(SharedPods pods)
{
    [Theory]
    [InlineData("curl", false)]
    [InlineData("curl", true)]
    [InlineData("curl http2", false)]
    public async Task SidecarToInProcess_IsSeenAsThePeer_OverHttp2(string client, bool ipV6)
    {
        var url = SharedPods.Url("net", SharedPods.Net, ipV6);
        var output = client == "curl"
            ? await pods.Mesh["web"].RunAsync("curl", "-sS", "--globoff", "--max-time", "20", "-w", "\n%{http_version}", $"{url}/seen?x=1")
            : await pods.Mesh["web"].RunAsync("curl", "-sS", "--http2-prior-knowledge", "--max-time", "20", "-w", "\n%{http_version}", $"{url}/seen?x=1");

        // The answer is at most of the version that was asked for; on the way it was HTTP/2.
        Assert.EndsWith(client == "curl" ? "\n1.1" : "\n2", output.TrimEnd(), StringComparison.Ordinal);
        using var seen = JsonDocument.Parse(output[..output.TrimEnd().LastIndexOf('\n')]);
        Assert.Equal("GET /seen?x=1 HTTP/2", seen.RootElement.GetProperty("line").GetString());
        Assert.Equal("http", seen.RootElement.GetProperty("scheme").GetString());
        Assert.Equal("spiffe://cluster.local/ns/pods/sa/web", seen.RootElement.GetProperty("peer").GetString());
        Assert.Equal($"{SharedPods.Address("net", ipV6)}:{SharedPods.Net}", seen.RootElement.GetProperty("host").GetString());
    }

    [Theory]
    [InlineData("1.1", "1.1")]
    // HTTP/2 "or lower", without TLS: HTTP/1.1, in .NET, and so it arrives.
    [InlineData("2.0", "2.0")]
    public async Task InProcessToSidecar_AppSeesTheClientAndHttp11(string asked, string answered)
    {
        // By name: the client in the process asks the mesh, not DNS.
        using var answer = await CallAsync($"http://store.pods:{SharedPods.Http}/from-net", asked);

        Assert.Equal(200, answer.RootElement.GetProperty("status").GetInt32());
        using var seen = JsonDocument.Parse(answer.RootElement.GetProperty("body").GetString()!);
        Assert.StartsWith("GET /from-net HTTP/1.1", seen.RootElement.GetProperty("line").GetString(), StringComparison.Ordinal);
        var headers = seen.RootElement.GetProperty("headers");
        Assert.Equal("spiffe://cluster.local/ns/pods/sa/net", headers.GetProperty("mesh-client-id").GetString());
        Assert.Equal($"store.pods:{SharedPods.Http}", headers.GetProperty("host").GetString());
        Assert.Equal(answered, answer.RootElement.GetProperty("version").GetString());
    }

    [Fact]
    public async Task InProcessToSidecar_Http2App_SeesHttp2()
    {
        using var answer = await CallAsync($"http://store.pods:{SharedPods.H2c}/from-net", "2.0", HttpVersionPolicy.RequestVersionExact);

        using var seen = JsonDocument.Parse(answer.RootElement.GetProperty("body").GetString()!);
        Assert.Equal("GET /from-net HTTP/2.0", seen.RootElement.GetProperty("line").GetString());
        Assert.Equal("spiffe://cluster.local/ns/pods/sa/net", seen.RootElement.GetProperty("headers").GetProperty("mesh-client-id").GetString());
        Assert.Equal("2.0", answer.RootElement.GetProperty("version").GetString());
    }

    /// <summary>Lets the .NET service call.</summary>
    private async Task<JsonDocument> CallAsync(string url, string version, HttpVersionPolicy policy = HttpVersionPolicy.RequestVersionOrLower)
    {
        using var answer = await pods.Mesh["web"].GetAsync($"{SharedPods.Url("net", SharedPods.Net)}/call?url={Uri.EscapeDataString(url)}&version={version}&policy={policy}");
        var body = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, $"{(int)answer.StatusCode} {body} {pods.Mesh.Said()}");
        return JsonDocument.Parse(body);
    }
}
