using System.Collections.Concurrent;
using Mesh.ControlPlane.Hosting;
using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>A process with its own control plane calls <c>cart</c>: real Kestrels, not meshed, that behave as told. Policies are written as YAML while all of it runs.</summary>
internal sealed class PolicyMesh : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly List<WebApplication> _apps = [];
    private HttpClient? _client;

    private PolicyMesh()
    {
    }

    public WebApplication Caller { get; private set; } = null!;

    /// <summary>Of the caller; the same for all calls.</summary>
    public HttpClient Client => _client ??= Caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient();

    /// <summary>The replica of each request that arrived.</summary>
    public ConcurrentQueue<int> Seen { get; } = [];

    /// <summary>The status a replica answers; without one, 200.</summary>
    public Func<int, HttpContext, Task<int>> Answer { get; set; } = (_, _) => Task.FromResult(200);

    public static async Task<PolicyMesh> StartAsync(string policies, int replicas = 1)
    {
        var mesh = new PolicyMesh();
        var services = Service("cart");
        for (var i = 0; i < replicas; i++)
        {
            var (port, replica) = (FreePort.Next(), i);
            services += Slice("cart", i, port);
            await mesh.StartAsync(port, _ => { }, context => mesh.ServeAsync(replica, context));
        }

        File.WriteAllText(Path.Combine(mesh.Folder("config"), "services.yaml"), services);
        mesh.Put(policies);
        mesh.Caller = await mesh.StartAsync(FreePort.Next(), builder =>
        {
            builder.Services.AddMeshControlPlane(o =>
            {
                (o.ConfigFolder, o.DataFolder) = (mesh.Folder("config"), mesh.Folder("data"));
                (o.AdsPort, o.GrpcPort, o.HttpPort) = (0, 0, 0);
            });
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "caller"));
        }, context => context.Response.CompleteAsync());
        return mesh;
    }

    /// <summary>Another process of the mesh, by the control plane's network door.</summary>
    public async Task<WebApplication> JoinAsync(string serviceAccount)
    {
        var controlPlane = Caller.Services.GetRequiredService<MeshControlPlane>();
        var addresses = await controlPlane.Ready;
        return await StartAsync(FreePort.Next(), builder =>
        {
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o =>
            {
                (o.Namespace, o.ServiceAccount) = ("shop", serviceAccount);
                (o.ControlPlane, o.TrustBundle, o.Token) = (addresses.Grpc, addresses.TrustBundle, controlPlane.CreateJoinToken("shop", serviceAccount));
            });
        }, context => context.Response.CompleteAsync());
    }

    /// <summary>Replaces all policies; with nothing in it the file goes.</summary>
    public void Put(string policies)
    {
        var path = Path.Combine(Folder("config"), "policies.yaml");
        if (policies.Length == 0)
        {
            File.Delete(path);
            return;
        }

        File.WriteAllText(path, policies);
    }

    public async Task<int> CallAsync(CancellationToken cancellationToken, string path = "/", params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://cart{path}");
        foreach (var (name, value) in headers)
        {
            request.Headers.Add(name, value);
        }

        using var response = await Client.SendAsync(request, cancellationToken);
        return (int)response.StatusCode;
    }

    public async ValueTask DisposeAsync()
    {
        _client?.Dispose();
        foreach (var app in Enumerable.Reverse(_apps))
        {
            await app.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A policy at <c>cart</c>.</summary>
    /// <param name="spec">Its fields besides <c>targetRefs</c>, in flow style and without braces.</param>
    public static string Policy(string kind, string spec, string target = """{ group: "", kind: Service, name: cart }""") => $$"""
        apiVersion: policy.meshlib.io/v1alpha1
        kind: {{kind}}
        metadata: { name: cart, namespace: shop }
        spec: { targetRefs: [{{target}}], {{spec}} }
        ---

        """;

    public static string Service(string name) => $$"""
        apiVersion: v1
        kind: Service
        metadata: { name: {{name}}, namespace: shop }
        spec: { ports: [{ name: web, port: 80 }] }
        ---

        """;

    public static string Slice(string service, int number, int port) => $$"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {{service}}-{{number}}
          namespace: shop
          labels: { kubernetes.io/service-name: {{service}} }
          annotations: { meshlib.io/service-account: {{service}} }
        addressType: IPv4
        ports: [{ name: web, port: {{port}} }]
        endpoints: [{ addresses: [127.0.0.1] }]
        ---

        """;

    private async Task ServeAsync(int replica, HttpContext context)
    {
        Seen.Enqueue(replica);
        context.Response.StatusCode = await Answer(replica, context);
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
        await app.StartAsync();
        return app;
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;
}
