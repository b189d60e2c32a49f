using System.Collections.Concurrent;
using System.Net;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Tests.Sources.Kubernetes;
using Mesh.Hosting;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>A control plane over an API server that misbehaves, with a process of the mesh that calls real servers all the time: no call fails, and what changes arrives.</summary>
public sealed class ClusterMeshTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly List<WebApplication> _apps = [];
    private readonly ConcurrentDictionary<string, int> _seen = new();
    private readonly ConcurrentQueue<string> _failed = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly int[] _ports = [FreePort.Next(), FreePort.Next(), FreePort.Next()];
    private FakeKubeApi _api = null!;
    private WebApplication _caller = null!;
    private Task _calls = Task.CompletedTask;
    private int _made;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        for (var i = 0; i < _ports.Length; i++)
        {
            var name = $"cart-{i}";
            await StartAsync(_ports[i], _ => { }, context =>
            {
                _seen.AddOrUpdate(context.Request.Path.StartsWithSegments("/v2") ? "v2" : name, 1, (_, n) => n + 1);
                return context.Response.WriteAsync(name);
            });
        }

        _api = await FakeKubeApi.StartAsync();
        _api.Apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: mesh-system}\n");
        TestCluster.Define(_api);
        _api.Apply("{ apiVersion: v1, kind: Namespace, metadata: { name: mesh-system } }");
        _api.Apply(PolicyMesh.Service("cart") + PolicyMesh.Slice("cart", 0, _ports[0]));
        var token = Path.Combine(_folder, "token");
        await File.WriteAllTextAsync(token, _api.Token, Token);
        _caller = await StartAsync(FreePort.Next(), builder =>
        {
            builder.Services.AddMeshControlPlane(o =>
            {
                (o.Kubernetes, o.ApiServer, o.ApiTokenFile) = (true, _api.Address.ToString(), token);
                (o.DataFolder, o.GrpcPort, o.HttpPort) = (Path.Combine(_folder, "data"), 0, 0);
            });
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "caller"));
        }, context => context.Response.CompleteAsync());
        _calls = Task.Run(CallAsync, Token);
        await Eventually.Async(() => _seen.ContainsKey("cart-0"), "the first call", Patience);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _calls;
        foreach (var app in Enumerable.Reverse(_apps))
        {
            await app.DisposeAsync();
        }

        if (_api is not null)
        {
            await _api.DisposeAsync();
        }

        _stop.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task ApiServer_Misbehaves_NoCallFailsAndChangesArrive()
    {
        _api.Apply(PolicyMesh.Slice("cart", 1, _ports[1]));
        await SeenAsync("cart-1", "a new endpoint");

        // Watches are cut; then the history is gone; then it refuses; then it is away.
        _api.Faults.CutWatches();
        _api.Delete("endpointslices.discovery.k8s.io", "shop", "cart-0");
        await GoneAsync("cart-0", "an endpoint that went while watches were cut");

        _api.Faults.Fail(string.Empty, 429, count: 25, retryAfter: 1, verb: "watch");
        _api.Faults.CutWatches();
        _api.Apply(PolicyMesh.Slice("cart", 2, _ports[2]));
        _api.Compact();
        await SeenAsync("cart-2", "an endpoint that came while the history was forgotten");

        _api.Faults.Fail(string.Empty, 503, count: 25);
        _api.Faults.CutWatches();
        _api.Apply(PolicyMesh.Slice("cart", 0, _ports[0]));
        await SeenAsync("cart-0", "an endpoint that came while the server failed");

        _api.Faults.Delay = TimeSpan.FromMilliseconds(300);
        _api.Faults.Fail(string.Empty, 0, count: 15);
        _api.Faults.CutWatches();
        _api.Apply("""
            apiVersion: gateway.networking.k8s.io/v1
            kind: HTTPRoute
            metadata: { name: cart, namespace: shop }
            spec:
              parentRefs: [{ group: "", kind: Service, name: cart }]
              rules:
                - filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /v2 } } }]
                  backendRefs: [{ name: cart, port: 80 }]
            """);
        await SeenAsync("v2", "a route that came while the server was slow and broke connections");

        Assert.Empty(_failed);
        Assert.True(Volatile.Read(ref _made) > 50);
    }

    [Fact]
    public async Task Addresses_OnKubernetes_HaveNoPlaintextAdsAndMetricsTellOfKinds()
    {
        var addresses = await _caller.Services.GetRequiredService<MeshControlPlane>().Ready;
        Assert.Empty(addresses.Ads);
        using var client = new HttpClient { BaseAddress = new Uri(addresses.Http) };
        var metrics = await client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Contains("mesh_controlplane_kubernetes_synced{kind=\"EndpointSlice\"} 1", metrics, StringComparison.Ordinal);
        Assert.Contains("mesh_controlplane_kubernetes_heard_age_seconds{kind=\"Pod\"}", metrics, StringComparison.Ordinal);
        client.DefaultRequestHeaders.Add("Authorization", $"Bearer {addresses.Token}");
        Assert.Contains("\"id\":\"kubernetes-watch\"", await client.GetStringAsync(new Uri("/api/v1/checks", UriKind.Relative), Token), StringComparison.Ordinal);
    }

    private Task SeenAsync(string server, string what)
    {
        _seen.TryRemove(server, out _);
        return Eventually.Async(() => _seen.ContainsKey(server), what, Patience);
    }

    private Task GoneAsync(string server, string what) => Eventually.Async(async () =>
    {
        _seen.Clear();
        var before = Volatile.Read(ref _made);
        await Eventually.Async(() => Volatile.Read(ref _made) > before + 20, "more calls", Patience);
        return !_seen.ContainsKey(server);
    }, what, Patience);

    private async Task CallAsync()
    {
        using var client = _caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var response = await client.GetAsync(new Uri("http://cart/"), Token);
                if (response.StatusCode != HttpStatusCode.OK)
                {
                    _failed.Enqueue($"{response.StatusCode}: {await response.Content.ReadAsStringAsync(Token)}");
                }
            }
            catch (HttpRequestException e)
            {
                _failed.Enqueue(e.Message);
            }

            Interlocked.Increment(ref _made);
        }
    }

    private async Task<WebApplication> StartAsync(int port, Action<WebApplicationBuilder> configure, RequestDelegate serve)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        configure(builder);
        var app = builder.Build();
        _apps.Add(app);
        app.Run(serve);
        await app.StartAsync(Token);
        return app;
    }
}
