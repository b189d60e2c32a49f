using System.Net;
using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>A RateLimitPolicy and a ConcurrencyPolicy from their YAML to the answers of a real server.</summary>
public sealed class InboundLimitsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task RateLimitPolicy_PerCaller_IsEnforcedByTheServer()
    {
        await using var app = await StartAsync(Yaml("RateLimitPolicy", "{ limits: [{ name: each, requests: 2, interval: 1h, per: Caller }] }"), () => Task.FromResult("ok"));
        using var plain = new HttpClient();
        using var meshed = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        // Two callers: one goes by its address, the other by its identity.
        foreach (var (client, url) in new[] { (plain, app.Urls.First()), (meshed, "http://front/") })
        {
            Assert.Equal("ok", await client.GetStringAsync(url, Token));
            Assert.Equal("ok", await client.GetStringAsync(url, Token));
            using var refused = await client.GetAsync(url, Token);
            Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
            Assert.InRange(refused.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(30));
        }
    }

    [Fact]
    public async Task ConcurrencyPolicy_Server_IsEnforcedByTheServer()
    {
        var (inside, door) = (0, new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously));
        await using var app = await StartAsync(Yaml("ConcurrencyPolicy", "{ server: { maxRequests: 1 } }"), () =>
        {
            Interlocked.Increment(ref inside);
            return door.Task;
        });
        using var client = new HttpClient();
        var first = client.GetStringAsync(app.Urls.First(), Token);
        await Eventually.Async(() => Volatile.Read(ref inside) == 1, "the first is inside");

        using var refused = await client.GetAsync(app.Urls.First(), Token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("Overloaded", Assert.Single(refused.Headers.GetValues("mesh-error")));
        door.SetResult("ok");
        Assert.Equal("ok", await first);
    }

    private async Task<WebApplication> StartAsync(string policy, Func<Task<string>> work)
    {
        var port = FreePort.Next();
        File.WriteAllText(Path.Combine(Folder("config"), "shop.yaml"), Service(port) + "---\n" + policy);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.WebHost.UseMesh();
        builder.Services.AddMesh().AddMeshControlPlane(o =>
        {
            (o.ConfigFolder, o.DataFolder) = (Folder("config"), Folder("data"));
            (o.AdsPort, o.GrpcPort, o.HttpPort) = (0, 0, 0);
        });
        builder.Services.AddHttpClient();
        builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "front"));
        var app = builder.Build();
        app.MapGet("/", () => work());
        await app.StartAsync(Token);
        return app;
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

    private static string Yaml(string kind, string rest) => $$"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: {{kind}}
        metadata: { name: front, namespace: shop }
        spec: { targetRefs: [{ group: "", kind: Service, name: front }], {{rest[1..]}}

        """;

    private static string Service(int port) => $$"""
        apiVersion: v1
        kind: Service
        metadata: { name: front, namespace: shop }
        spec:
          ports: [{ name: web, port: 80 }]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: front-1
          namespace: shop
          labels: { kubernetes.io/service-name: front }
          annotations: { meshlib.io/service-account: front }
        addressType: IPv4
        ports: [{ name: web, port: {{port}} }]
        endpoints: [{ addresses: [127.0.0.1] }]

        """;
}
