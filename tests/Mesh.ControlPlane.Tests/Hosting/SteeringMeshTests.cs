using System.Collections.Concurrent;
using System.Net;
using Mesh.Hosting;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>Filters and sessions from YAML to real servers: a process with its own control plane calls Kestrels that are not meshed.</summary>
public sealed class SteeringMeshTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly List<WebApplication> _apps = [];
    private readonly ConcurrentQueue<(string Server, string Target, string Host, string? Header)> _seen = [];
    private WebApplication _caller = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var ports = new[] { FreePort.Next(), FreePort.Next(), FreePort.Next() };
        foreach (var (name, port) in ((string[])["cart-0", "cart-1", "copy"]).Zip(ports))
        {
            await StartAsync(port, _ => { }, app => app.MapFallback(context =>
            {
                _seen.Enqueue((name, context.Request.Path + context.Request.QueryString.Value, context.Request.Host.Value!, context.Request.Headers["x-by"]));
                return context.Response.WriteAsync(name);
            }));
        }

        File.WriteAllText(Path.Combine(Directory.CreateDirectory(Path.Combine(_folder, "config")).FullName, "shop.yaml"),
            Service("cart", ports[0], ports[1]) + Service("copy", ports[2]) + Rules);
        _caller = await StartAsync(FreePort.Next(), builder =>
        {
            builder.Services.AddMeshControlPlane(o => (o.ConfigFolder, o.DataFolder, o.AdsPort, o.GrpcPort, o.HttpPort) = (Path.Combine(_folder, "config"), Path.Combine(_folder, "data"), 0, 0, 0));
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount) = ("shop", "caller"));
        }, _ => { });
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var app in Enumerable.Reverse(_apps))
        {
            await app.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Rules_FromYaml_SteerRealCalls()
    {
        using var client = _caller.Services.GetRequiredService<IHttpClientFactory>().CreateClient();

        using var rewritten = await client.GetAsync(new Uri("http://cart/old/x?q=1"), Token);
        Assert.Equal(("/new/x?q=1", "inner.example", "mesh"), Assert.Single(_seen) is var s ? (s.Target, s.Host, s.Header) : default);
        Assert.Equal(["mesh"], rewritten.Headers.GetValues("x-from"));

        using var closed = await client.GetAsync(new Uri("http://cart/closed"), Token);
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "application/json", "{\"closed\": true}"),
            (closed.StatusCode, closed.Content.Headers.ContentType!.ToString(), await closed.Content.ReadAsStringAsync(Token)));
        Assert.Single(_seen);

        _seen.Clear();
        Assert.StartsWith("cart-", await client.GetStringAsync("http://cart/moved/y", Token), StringComparison.Ordinal);
        Assert.Equal("/here/y", Assert.Single(_seen).Target);

        _seen.Clear();
        Assert.StartsWith("cart-", await client.GetStringAsync("http://cart/copied", Token), StringComparison.Ordinal);
        await Eventually.Async(() => _seen.Any(s => s.Server == "copy"), "the copy to arrive");
        Assert.Equal("cart-shadow", _seen.Single(s => s.Server == "copy").Host);
    }

    [Fact]
    public async Task Session_ByCookie_StaysWithItsEndpoint()
    {
        var servers = new HashSet<string>();
        for (var session = 0; session < 12; session++)
        {
            // A client of its own has cookies of its own.
            using var client = HttpClient.CreateMesh(_caller.Services);
            using var first = await client.GetAsync(new Uri("http://cart/session"), Token);
            Assert.Contains(first.Headers.GetValues("Set-Cookie"), c => c.StartsWith("sticky=", StringComparison.Ordinal));
            var server = await first.Content.ReadAsStringAsync(Token);
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(server, await client.GetStringAsync("http://cart/session", Token));
            }

            servers.Add(server);
        }

        Assert.Equal(2, servers.Count);
    }

    private async Task<WebApplication> StartAsync(int port, Action<WebApplicationBuilder> configure, Action<WebApplication> map)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        configure(builder);
        var app = builder.Build();
        _apps.Add(app);
        map(app);
        await app.StartAsync(Token);
        return app;
    }

    private static string Service(string name, params int[] ports) => $$"""
        apiVersion: v1
        kind: Service
        metadata: { name: {{name}}, namespace: shop }
        spec: { ports: [{ name: web, port: 80 }] }
        ---

        """ + string.Concat(ports.Select((port, i) => $$"""
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata: { name: {{name}}-{{i}}, namespace: shop, labels: { kubernetes.io/service-name: {{name}} } }
        addressType: IPv4
        ports: [{ name: web, port: {{port}} }]
        endpoints: [{ addresses: [127.0.0.1] }]
        ---

        """));

    // Round robin: by latency, the replica whose first answer was slow would get no session.
    private const string Rules = """
        apiVersion: policy.meshlib.io/v1alpha1
        kind: LoadBalancingPolicy
        metadata: { name: cart, namespace: shop }
        spec: { targetRefs: [{ group: "", kind: Service, name: cart }], algorithm: RoundRobin }
        ---
        apiVersion: policy.meshlib.io/v1alpha1
        kind: DirectResponse
        metadata: { name: closed, namespace: shop }
        spec: { status: 503, contentType: application/json, body: '{"closed": true}' }
        ---
        apiVersion: gateway.networking.k8s.io/v1
        kind: HTTPRoute
        metadata: { name: cart, namespace: shop }
        spec:
          parentRefs: [{ group: "", kind: Service, name: cart }]
          rules:
          - matches: [{ path: { value: /old } }]
            filters:
            - { type: URLRewrite, urlRewrite: { hostname: inner.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /new } } }
            - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-By, value: mesh }] } }
            - { type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-from, value: mesh }] } }
            backendRefs: [{ name: cart, port: 80 }]
          - matches: [{ path: { value: /closed } }]
            filters: [{ type: ExtensionRef, extensionRef: { group: policy.meshlib.io, kind: DirectResponse, name: closed } }]
          - matches: [{ path: { value: /moved } }]
            filters: [{ type: RequestRedirect, requestRedirect: { statusCode: 307, path: { type: ReplacePrefixMatch, replacePrefixMatch: /here } } }]
          - matches: [{ path: { value: /copied } }]
            filters: [{ type: RequestMirror, requestMirror: { backendRef: { name: copy, port: 80 } } }]
            backendRefs: [{ name: cart, port: 80 }]
          - matches: [{ path: { value: /session } }]
            sessionPersistence: { sessionName: sticky }
            backendRefs: [{ name: cart, port: 80 }]
          - backendRefs: [{ name: cart, port: 80 }]
        """;
}
