using System.Collections.Immutable;
using System.Net;
using System.Text;
using System.Text.Json;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Tests.Hosting;
using Mesh.ControlPlane.Tests.Telemetry;
using Mesh.ControlPlane.Tests.Xds;
using Mesh.Testing;
using Mesh.Xds.Decoding;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Mesh.ControlPlane.Tests.Api;

public sealed class ApiTests
{
    [Theory]
    [InlineData("wrong")]
    [InlineData("")]
    public async Task Api_WrongToken_Is401Problem(string token)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api(token);
        foreach (var path in new[] { "pairs", "endpoints", "status", "clients", "workloads", "checks", "config_dump", "identities", "tokens" })
        {
            using var response = path == "tokens"
                ? await api.PostAsync($"/api/v1/{path}", Json("""{"namespace":"a","service_account":"b"}"""), TestContext.Current.CancellationToken)
                : await api.GetAsync($"/api/v1/{path}", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        }
    }

    [Theory]
    [InlineData("/livez", "ok")]
    [InlineData("/readyz", "ok")]
    [InlineData("/metrics", "mesh_controlplane_clients 0")]
    public async Task OpenPaths_NeedNoToken(string path, string holds)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = new HttpClient { BaseAddress = new Uri(controlPlane.Addresses.Http) };
        Assert.Contains(holds, await api.GetStringAsync(path, TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pairs_AreSnakeCaseObjectsOfTheContract()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Services.GetRequiredService<MetricsReader>().Read(
            GoldenMetricsTests.Shop(GoldenMetricsTests.Calls(3, good: true)).ResourceMetrics, Mesh.Spiffe.SpiffeId.Parse("spiffe://cluster.local/ns/shop/sa/storefront"));
        var pairs = await GetAsync(controlPlane, "/api/v1/pairs");
        Assert.Equal(
            ["source", "source_namespace", "destination", "destination_namespace", "requests", "success_rate", "effective_success_rate", "rps", "p50_ms", "p95_ms", "p99_ms", "mtls_share", "retries"],
            pairs[0].EnumerateObject().Select(p => p.Name));
        Assert.Equal(1, (await GetAsync(controlPlane, "/api/v1/pairs?window=30")).GetArrayLength());
    }

    [Fact]
    public async Task Tokens_CreatedByApi_JoinAndShowAsIdentity()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api();
        using var created = await api.PostAsync("/api/v1/tokens", Json("""{"namespace":"shop","service_account":"cart"}"""), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, created.StatusCode);
        var token = JsonDocument.Parse(await created.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement.GetProperty("token").GetString();
        using var channel = controlPlane.TlsChannel();
        await Csr.SendAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/cart").Pem, token);
        var identities = await GetAsync(controlPlane, "/api/v1/identities");
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/cart", identities[0].GetProperty("identity").GetString());
        Assert.True(identities[0].TryGetProperty("not_after", out _));
    }

    [Theory]
    [InlineData("POST", "/api/v1/tokens", """{"namespace":"shop"}""", 400)]
    [InlineData("POST", "/api/v1/tokens", """{"namespace":"../x","service_account":"a"}""", 400)]
    [InlineData("POST", "/api/v1/tokens", "{", 400)]
    [InlineData("POST", "/api/v1/tokens", """{"namespace":"a","service_account":"b","more":1}""", 400)]
    [InlineData("PUT", "/api/v1/identity/leaf_life", """{"seconds":1}""", 400)]
    [InlineData("PUT", "/api/v1/identity/leaf_life", """{"seconds":"x"}""", 400)]
    [InlineData("PUT", "/api/v1/identity/leaf_life", """{"seconds":20}""", 200)]
    [InlineData("POST", "/api/v1/identity/rotate", "", 200)]
    [InlineData("GET", "/api/v1/pairs?window=0", null, 400)]
    [InlineData("GET", "/api/v1/nothing", null, 404)]
    [InlineData("DELETE", "/api/v1/pairs", null, 405)]
    [InlineData("GET", "/api/v1/config_dump?node=nobody", null, 404)]
    public async Task Requests_GoodAndBad_AnswerWithStatusAndProblem(string method, string path, string? body, int status)
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var api = controlPlane.Api();
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = body is { Length: > 0 } ? Json(body) : null };
        using var response = await api.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)response.StatusCode);
        if (status >= 400)
        {
            Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
            var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).RootElement;
            Assert.NotEmpty(problem.GetProperty("detail").GetString()!);
        }
    }

    [Fact]
    public async Task WorkloadsAndChecks_NameWhatIsNotMeshedAndWhatIsWrong()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        var name = new ServiceName("shop", "cart");
        controlPlane.Source.Publish(new MeshModel
        {
            Services = ImmutableDictionary<ServiceName, Service>.Empty.Add(name, new Service(name, [new ServicePort("", 80, null)],
            [
                new ServiceEndpoint("", "127.0.0.1", 5001, "cart", true, "", true),
                new ServiceEndpoint("", "127.0.0.1", 5002, "cart", true, "", false),
                new ServiceEndpoint("", "127.0.0.1", 5003, null, false, "", false),
            ])),
            Problems = [new SourceProblem("cart.yaml:12", "port 'x' is no number")],
        });
        var workloads = (await GetAsync(controlPlane, "/api/v1/workloads")).EnumerateArray().ToList();
        Assert.Equal([true, false, false], workloads.Select(w => w.GetProperty("meshed").GetBoolean()));
        Assert.Contains("has served 127.0.0.1:5002", workloads[1].GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Contains("service-account", workloads[2].GetProperty("reason").GetString(), StringComparison.Ordinal);

        var checks = (await GetAsync(controlPlane, "/api/v1/checks")).EnumerateArray().ToList();
        Assert.Contains(checks, c => c.GetProperty("id").GetString() == "manifests" && c.GetProperty("result").GetString() == "error"
            && c.GetProperty("detail").GetString()!.StartsWith("cart.yaml:12", StringComparison.Ordinal));
        Assert.Contains(checks, c => c.GetProperty("id").GetString() == "endpoint-meshed" && c.GetProperty("result").GetString() == "warning");
        Assert.Contains(checks, c => c.GetProperty("id").GetString() == "endpoint-identity" && c.GetProperty("result").GetString() == "warning");
        Assert.Contains(checks, c => c.GetProperty("id").GetString() == "data-folder" && c.GetProperty("result").GetString() == "ok");
    }

    [Fact]
    public async Task ConfigDumpAndClients_ShowWhatANodeWasSent()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        controlPlane.Translator.Set(XdsTypes.Cluster, "a", "1");
        using var channel = controlPlane.PlaintextChannel();
        await using var stream = new DeltaTestStream(channel);
        await stream.SubscribeAsync(XdsTypes.Cluster, "a", "b");
        await stream.AnswerAsync(await stream.ReadAsync());
        JsonElement resources = default;
        await Eventually.Async(
            () =>
            {
                resources = GetAsync(controlPlane, "/api/v1/config_dump?node=cart~1~shop").GetAwaiter().GetResult()[0].GetProperty("types")[0].GetProperty("resources");
                return resources[0].GetProperty("status").GetString() == "acked";
            },
            "the ACK to show");
        Assert.Equal("a", resources[0].GetProperty("resource").GetProperty("name").GetString());
        Assert.Equal("does_not_exist", resources[1].GetProperty("status").GetString());
        var client = (await GetAsync(controlPlane, "/api/v1/clients"))[0];
        Assert.Equal("delta", client.GetProperty("variant").GetString());
        Assert.Equal(XdsTypes.Cluster, client.GetProperty("subscriptions")[0].GetProperty("type_url").GetString());
        Assert.Equal(1, (await GetAsync(controlPlane, "/api/v1/status")).GetProperty("clients").GetInt32());
    }

    [Fact]
    public async Task AdminToken_AfterRestart_IsTheSame()
    {
        var folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
        string token;
        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            token = controlPlane.Addresses.Token;
        }

        await using (var controlPlane = await TestControlPlane.StartAsync(folder))
        {
            Assert.Equal(token, controlPlane.Addresses.Token);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task EachPort_AnswersOnlyWhatIsMeantForIt()
    {
        await using var controlPlane = await TestControlPlane.StartAsync();
        using var http2 = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        http2.DefaultRequestHeaders.Add("Authorization", $"Bearer {controlPlane.Addresses.Token}");
        using var onAds = await http2.GetAsync($"http://{controlPlane.Addresses.Ads}/api/v1/status", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NotFound, onAds.StatusCode);

        // The plaintext port signs nothing.
        using var channel = controlPlane.PlaintextChannel();
        var refused = await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => Csr.SendAsync(channel, Csr.For("spiffe://cluster.local/ns/shop/sa/cart").Pem, controlPlane.Token("shop", "cart")));
        Assert.Equal(Grpc.Core.StatusCode.Unimplemented, refused.StatusCode);
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static async Task<JsonElement> GetAsync(TestControlPlane controlPlane, string path)
    {
        using var api = controlPlane.Api();
        return JsonDocument.Parse(await api.GetStringAsync(path, TestContext.Current.CancellationToken)).RootElement;
    }
}
