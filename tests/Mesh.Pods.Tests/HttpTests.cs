using System.Text.Json;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>HTTP of foreign programs: app → its sidecar → mesh TLS → the other's sidecar → app.</summary>
[Collection(SharedPodsGroup.Name)]
public sealed class HttpTests(SharedPods pods)
{
    [Theory]
    [InlineData("web", "store", "node", false)]
    [InlineData("web", "store", "node", true)]
    [InlineData("web", "store", "python", false)]
    [InlineData("web", "store", "python", true)]
    [InlineData("store", "web", "node", false)]
    [InlineData("store", "web", "python", false)]
    [InlineData("store", "web", "python", true)]
    public async Task KeepAliveAndChunked_ArriveAsWritten(string from, string to, string client, bool ipV6)
    {
        var host = SharedPods.Address(to, ipV6);
        var output = client == "node"
            ? await pods.Mesh[from].RunAsync(Programs.Node, Programs.App("client.js"), "http", SharedPods.Url(to, SharedPods.Http, ipV6))
            : await pods.Mesh[from].RunAsync(Programs.Python, Programs.App("client.py"), "http", host.Trim('[', ']'), $"{SharedPods.Http}");

        using var result = JsonDocument.Parse(output);
        Assert.Equal(1, result.RootElement.GetProperty("connections").GetInt32());
        var answers = result.RootElement.GetProperty("answers").EnumerateArray().ToArray();
        Assert.Equal(["", "declared", "first second"], answers.Select(a => a.GetProperty("seen").GetProperty("body").GetString()));
        Assert.Equal(["GET", "POST", "POST"], answers.Select(a => a.GetProperty("seen").GetProperty("line").GetString()!.Split(' ')[0]));
        foreach (var answer in answers)
        {
            Assert.Equal(200, answer.GetProperty("status").GetInt32());
            Assert.Equal(11, answer.GetProperty("version").GetInt32());
            var seen = answer.GetProperty("seen");
            Assert.Equal(to, seen.GetProperty("server").GetString());
            Assert.EndsWith(" /a/b%2Fc?x=1&y=%20 HTTP/1.1", seen.GetProperty("line").GetString(), StringComparison.Ordinal);
            var headers = seen.GetProperty("headers");
            Assert.Equal($"spiffe://cluster.local/ns/pods/sa/{from}", headers.GetProperty("mesh-client-id").GetString());
            Assert.Equal($"{host}:{SharedPods.Http}", headers.GetProperty("host").GetString());
            Assert.Equal("yes", headers.GetProperty("x-own").GetString());
            Assert.False(headers.TryGetProperty("mesh-orig-proto", out _));
        }
    }

    [Theory]
    [InlineData("web", "store", false)]
    [InlineData("web", "store", true)]
    [InlineData("store", "web", false)]
    [InlineData("store", "web", true)]
    public async Task Curl_SeesHttp11(string from, string to, bool ipV6)
    {
        var output = await pods.Mesh[from].RunAsync("curl", "-sS", "--globoff", "--max-time", "20", "-w", "\n%{http_version} %{http_code}", SharedPods.Url(to, SharedPods.Http, ipV6) + "/curl");

        Assert.EndsWith("\n1.1 200", output.TrimEnd(), StringComparison.Ordinal);
        using var seen = JsonDocument.Parse(output[..output.TrimEnd().LastIndexOf('\n')]);
        Assert.Equal("GET /curl HTTP/1.1", seen.RootElement.GetProperty("line").GetString());
        Assert.Equal($"spiffe://cluster.local/ns/pods/sa/{from}", seen.RootElement.GetProperty("headers").GetProperty("mesh-client-id").GetString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CurlHttp10_AppSeesHttp10(bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync("curl", "-sS", "--globoff", "--http1.0", "--max-time", "20", SharedPods.Url("store", SharedPods.Http, ipV6) + "/old");

        using var seen = JsonDocument.Parse(output);
        Assert.Equal("GET /old HTTP/1.0", seen.RootElement.GetProperty("line").GetString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task NodeHttp2_StaysHttp2_ManyAtOnce(bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync(Programs.Node, Programs.App("client.js"), "h2c", SharedPods.Url("store", SharedPods.H2c, ipV6));

        using var result = JsonDocument.Parse(output);
        var answers = result.RootElement.GetProperty("answers").EnumerateArray().ToArray();
        Assert.Equal(["POST /1 HTTP/2.0", "POST /2 HTTP/2.0", "POST /3 HTTP/2.0"], answers.Select(a => a.GetProperty("seen").GetProperty("line").GetString()));
        Assert.Equal(["body of /1", "body of /2", "body of /3"], answers.Select(a => a.GetProperty("seen").GetProperty("body").GetString()));
        Assert.All(answers, a => Assert.Equal("spiffe://cluster.local/ns/pods/sa/web", a.GetProperty("seen").GetProperty("headers").GetProperty("mesh-client-id").GetString()));
    }

    [Fact]
    public async Task CurlHttp2_WithPriorKnowledge_StaysHttp2()
    {
        var output = await pods.Mesh["web"].RunAsync(
            "curl", "-sS", "--http2-prior-knowledge", "--max-time", "20", "-w", "\n%{http_version}", SharedPods.Url("store", SharedPods.H2c) + "/curl");

        Assert.EndsWith("\n2", output.TrimEnd(), StringComparison.Ordinal);
        Assert.Contains("GET /curl HTTP/2.0", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("store", 30)]
    [InlineData("store", 300)]
    [InlineData("web", 300)]
    public async Task ClientThatIsSilentAtFirst_IsServedAsHttp(string to, int milliseconds)
    {
        // After 50 ms the server is connected, in case that it speaks first (SilentClients); that connection is not used then.
        var from = to == "store" ? "web" : "store";
        var output = await pods.Mesh[from].RunAsync(Programs.Python, Programs.App("client.py"), "late", SharedPods.Address(to, false), $"{SharedPods.Http}", $"{milliseconds}");

        using var result = JsonDocument.Parse(output);
        Assert.StartsWith("HTTP/1.1 200", result.RootElement.GetProperty("head").GetString(), StringComparison.Ordinal);
        Assert.Equal($"spiffe://cluster.local/ns/pods/sa/{from}", result.RootElement.GetProperty("seen").GetProperty("headers").GetProperty("mesh-client-id").GetString());
    }

    [Fact]
    public async Task Status_OfTheApp_Arrives()
    {
        using var answer = await pods.Mesh["web"].GetAsync(SharedPods.Url("store", SharedPods.Http) + "/status/418");

        Assert.Equal(418, (int)answer.StatusCode);
        Assert.False(answer.Headers.Contains("mesh-error"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task WebSocket_TextAndBytes_AreEchoed(bool ipV6)
    {
        var output = await pods.Mesh["web"].RunAsync(Programs.Python, Programs.App("client.py"), "ws", $"ws://{SharedPods.Address("store", ipV6)}:{SharedPods.WebSocket}/");

        using var result = JsonDocument.Parse(output);
        Assert.Equal("spiffe://cluster.local/ns/pods/sa/web hello", result.RootElement.GetProperty("text").GetString());
        Assert.True(result.RootElement.GetProperty("same").GetBoolean());
        Assert.Equal(1000, result.RootElement.GetProperty("closed").GetInt32());
    }
}
