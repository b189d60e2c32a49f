using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tests.Hosting;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

/// <summary>What pages of strangers, and what is hostile, can do at the HTTP port.</summary>
public sealed class HttpPortTests : IAsyncLifetime
{
    private TestControlPlane _controlPlane = null!;

    public async ValueTask InitializeAsync() => _controlPlane = await TestControlPlane.StartAsync(configure: o => o.HttpHosts = ["mesh.example.com"]);

    public ValueTask DisposeAsync() => _controlPlane.DisposeAsync();

    [Theory]
    [InlineData("localhost", true)]
    [InlineData("LOCALHOST:8080", true)]
    [InlineData("mesh.localhost", true)]
    [InlineData("127.0.0.1:15014", true)]
    [InlineData("[::1]:15014", true)]
    [InlineData("10.1.2.3", true)]
    [InlineData("mesh-control-plane", true)]
    [InlineData("mesh-control-plane.mesh-system", true)]
    [InlineData("mesh-control-plane.mesh-system.svc", true)]
    [InlineData("mesh-control-plane.mesh-system.svc.cluster.local:15014", true)]
    [InlineData("mesh.example.com", true)]
    [InlineData("mesh.example.com.", true)]
    [InlineData("evil.example", false)]
    [InlineData("mesh.example.com.evil.example", false)]
    [InlineData("mesh-control-plane.evil.example", false)]
    [InlineData("mesh-control-plane.dev", false)]
    [InlineData("localhost.evil.example", false)]
    [InlineData("evil-localhost", false)]
    [InlineData("127.0.0.1.evil.example", false)]
    public async Task Host_OfOthers_IsMisdirected(string host, bool own)
    {
        foreach (var path in new[] { "/api/v1/status", "/metrics" })
        {
            using var answer = await SendAsync(path, r => r.Headers.Host = host);
            Assert.Equal(own ? HttpStatusCode.OK : HttpStatusCode.MisdirectedRequest, answer.StatusCode);
        }
    }

    /// <summary>The API server's proxy leaves the name by which it was asked, and hands our own header on.</summary>
    [Fact]
    public async Task Host_OfAnApiServersProxy_NeedsTheTokenInOurHeader()
    {
        foreach (var path in new[] { "/api/v1/status", "/metrics" })
        {
            using var good = await SendAsync(path, r => (r.Headers.Host, r.Headers.Authorization) = ("api.cluster.example:6443", null), ("X-Mesh-Token", _controlPlane.Addresses.Token));
            using var bad = await SendAsync(path, r => (r.Headers.Host, r.Headers.Authorization) = ("api.cluster.example:6443", null), ("X-Mesh-Token", "guessed"));
            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.MisdirectedRequest), (good.StatusCode, bad.StatusCode));
        }

        using var probe = await SendAsync("/livez", r => r.Headers.Host = "api.cluster.example:6443");
        Assert.Equal(HttpStatusCode.OK, probe.StatusCode);
    }

    [Fact]
    public async Task Pages_OfOtherOrigins_GetNothingToReadWith()
    {
        using var preflight = await SendAsync("/api/v1/faults", r => r.Method = HttpMethod.Options, ("Origin", "https://evil.example"), ("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", "authorization"));
        using var answer = await SendAsync("/api/v1/status", null, ("Origin", "https://evil.example"));

        Assert.False(preflight.IsSuccessStatusCode);
        Assert.All(new[] { preflight, answer }, r => Assert.DoesNotContain(r.Headers, h => h.Key.StartsWith("Access-Control-", StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public async Task Headers_KeepBrowsersFromScriptsFramesAndCaches()
    {
        foreach (var path in new[] { "/api/v1/status", "/livez", "/nothing" })
        {
            using var answer = await SendAsync(path);
            var policy = Assert.Single(answer.Headers.GetValues("Content-Security-Policy"));
            Assert.DoesNotContain("unsafe", policy, StringComparison.Ordinal);
            Assert.Contains("default-src 'none'", policy, StringComparison.Ordinal);
            Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
            Assert.Equal("nosniff", Assert.Single(answer.Headers.GetValues("X-Content-Type-Options")));
            Assert.Equal("no-referrer", Assert.Single(answer.Headers.GetValues("Referrer-Policy")));
            Assert.Equal(path.StartsWith("/api", StringComparison.Ordinal), answer.Headers.CacheControl?.NoStore == true);
        }
    }

    [Fact]
    public async Task Bodies_LargerThanAnyNeeded_AreRefused_AndOfStrangersNotRead()
    {
        var body = new string(' ', (int)ApiGate.MostBodyBytes + 1) + "{}";
        using var large = await SendAsync("/api/v1/faults", r => (r.Method, r.Content) = (HttpMethod.Post, new StringContent(body, Encoding.UTF8, "application/json")));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);

        // Of one without a token nothing but its head is waited for.
        using var socket = new TcpClient();
        var at = new Uri(_controlPlane.Addresses.Http);
        await socket.ConnectAsync(at.Host, at.Port, TestContext.Current.CancellationToken);
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"POST /api/v1/faults HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(socket.GetStream());
        Assert.Equal("HTTP/1.1 401 Unauthorized", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("/../../etc/passwd")]
    [InlineData("/%2e%2e/%2e%2e/etc/passwd")]
    [InlineData("/..%2f..%2fetc/passwd")]
    [InlineData("/api/v1/services/..%2f..%2f/x")]
    [InlineData("/api/v1/../../admin-token")]
    [InlineData("/admin-token")]
    [InlineData("//api/v1/status")]
    [InlineData("/api/v1/services/shop/%00")]
    public async Task Paths_OutOfTheTree_AreNotFound(string path)
    {
        using var socket = new TcpClient();
        var at = new Uri(_controlPlane.Addresses.Http);
        await socket.ConnectAsync(at.Host, at.Port, TestContext.Current.CancellationToken);
        await socket.GetStream().WriteAsync(
            Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {_controlPlane.Addresses.Token}\r\nConnection: close\r\n\r\n"), TestContext.Current.CancellationToken);
        using var reader = new StreamReader(socket.GetStream());
        var text = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.Matches("^HTTP/1.1 (400|404) ", text);
        Assert.DoesNotContain("root:", text, StringComparison.Ordinal);
        Assert.DoesNotContain(_controlPlane.Addresses.Token, text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task HostileNames_AreJsonText()
    {
        const string Hostile = "</script><img src=x onerror=alert(1)>\"\\\u0000\u2028\r\n";
        var name = new ServiceName("shop", Hostile);
        _controlPlane.Source.Publish(new MeshModel
        {
            Services = ImmutableDictionary<ServiceName, Service>.Empty.Add(name, new Service(name, [new ServicePort(Hostile, 80, null)], [new ServiceEndpoint(Hostile, "10.0.0.1", 80, Hostile, true, Hostile, false)])),
        });
        foreach (var path in new[] { "/api/v1/overview", "/api/v1/topology", "/api/v1/workloads", "/api/v1/security" })
        {
            using var answer = await SendAsync(path);
            Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
            var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
            Assert.DoesNotContain('\u0000', text);
            Assert.DoesNotContain('\n', text);
            using var json = JsonDocument.Parse(text);
            Assert.Contains(Strings(json.RootElement), s => s == Hostile);
        }
    }

    private static IEnumerable<string> Strings(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => [element.GetString()!],
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Strings),
        JsonValueKind.Object => element.EnumerateObject().SelectMany(p => Strings(p.Value)),
        _ => [],
    };

    private async Task<HttpResponseMessage> SendAsync(string path, Action<HttpRequestMessage>? change = null, params (string Name, string Value)[] headers)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = new Uri(_controlPlane.Addresses.Http) };
        using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Authorization = new("Bearer", _controlPlane.Addresses.Token) } };
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        change?.Invoke(request);
        return await http.SendAsync(request, TestContext.Current.CancellationToken);
    }
}
