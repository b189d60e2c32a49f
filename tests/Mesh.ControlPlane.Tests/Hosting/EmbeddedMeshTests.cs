using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Tap;
using Mesh.ControlPlane.Telemetry;
using Mesh.ControlPlane.Xds;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Server;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Xunit;

namespace Mesh.ControlPlane.Tests.Hosting;

/// <summary>A process that holds the control plane joins its own mesh in memory (contracts §5).</summary>
public sealed class EmbeddedMeshTests : IDisposable
{
    private const string Front = "spiffe://corp.test/ns/shop/sa/front";
    private const string Back = "spiffe://corp.test/ns/shop/sa/back";
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cp-").FullName;
    private readonly FakeLogCollector _logs = FakeLogCollector.Create(new FakeLogCollectorOptions());

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(true, AdsVariant.Delta)]
    [InlineData(false, AdsVariant.StateOfTheWorld)]
    public async Task Process_WithItsControlPlane_AndAnotherHost_CallEachOtherOverMtls(bool controlPlaneFirst, AdsVariant variant)
    {
        var (frontPort, backPort) = (FreePort.Next(), FreePort.Next());
        File.WriteAllText(Path.Combine(Folder("config"), "shop.yaml"), Yaml("front", frontPort) + "---\n" + Yaml("back", backPort));
        await using var front = App(frontPort, builder =>
        {
            if (controlPlaneFirst)
            {
                builder.Services.AddMeshControlPlane(Configure);
            }

            builder.WebHost.UseMesh();
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o => (o.Namespace, o.ServiceAccount, o.AdsVariant, o.TelemetryInterval, o.Traces.Ratio) = ("shop", "front", variant, TimeSpan.FromSeconds(1), 1));
            if (!controlPlaneFirst)
            {
                builder.Services.AddMeshControlPlane(Configure);
            }
        });
        await front.StartAsync(Token);
        var controlPlane = front.Services.GetRequiredService<MeshControlPlane>();
        var addresses = await controlPlane.Ready;
        await using var back = App(backPort, builder =>
        {
            builder.WebHost.UseMesh();
            builder.Services.AddMesh();
            builder.Services.Configure<MeshOptions>(o =>
            {
                (o.Namespace, o.ServiceAccount, o.TrustDomain, o.TelemetryInterval, o.Traces.Ratio) = ("shop", "back", "corp.test", TimeSpan.FromSeconds(1), 1);
                (o.ControlPlane, o.TrustBundle, o.Token) = (addresses.Grpc, addresses.TrustBundle, controlPlane.CreateJoinToken("shop", "back"));
            });
        });
        await back.StartAsync(Token);
        var inner = await controlPlane.Inner;
        // Both attend: one in memory, one over the network.
        await Eventually.Async(() => inner.GetRequiredService<IDataPlanes>().Count == 2, "both hold a tap stream");
        await Eventually.Async(
            () => inner.GetRequiredService<ModelStore>().Current.Services.Values.All(s => s.Endpoints.All(e => e.Meshed)), "both endpoints to be meshed", TimeSpan.FromSeconds(60));

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(Front, await CallAsync(front, "http://back/"));
            Assert.Equal(Back, await CallAsync(back, "http://front/"));
        }

        var store = inner.GetRequiredService<IGoldenQueries>();
        await Eventually.Async(async () => await RequestsAsync(store, "front", "back") == 5 && await RequestsAsync(store, "back", "front") == 5, "both pairs to be counted");
        Assert.All(await PairsAsync(store), pair => Assert.Equal((1.0, 1.0), (pair.MtlsShare, pair.SuccessRate)));
        await AssertTracedAsync(inner.GetRequiredService<TraceStore>(), "front", "back");
        await AssertTracedAsync(inner.GetRequiredService<TraceStore>(), "back", "front");
        var client = inner.GetRequiredService<ClientRegistry>().Clients.Single(c => c.Address == "in process");
        Assert.Equal(Front, client.Node.Identity!.ToString());
        var issued = inner.GetRequiredService<IssuanceLog>().Newest;
        Assert.All(inner.GetRequiredService<ClientRegistry>().Clients, c => Assert.Contains(issued, i => i.Identity == c.Node.Identity!.ToString() && i.Node == c.Node.Id));
        Assert.Equal([Back, Front], issued.Select(i => i.Identity).Order(StringComparer.Ordinal));

        var identity = front.Services.GetRequiredService<IWorkloadIdentitySource>();
        inner.GetRequiredService<LeafPolicyStore>().Rotate();
        await Eventually.Async(() => identity.Current!.Generation >= 2, "the own certificate to be renewed");
        Assert.Equal(Front, await CallAsync(front, "http://back/"));
        Assert.Equal(0, inner.GetRequiredService<ClientRegistry>().Nacks);

        await back.StopAsync(Token);
        await front.StopAsync(Token);
        Assert.Equal(6, await RequestsAsync(store, "front", "back"));
        Assert.DoesNotContain(_logs.GetSnapshot(), l => l.Level >= LogLevel.Error);
    }

    /// <summary>Both processes sent their half: the caller's span and its attempt, and below that the server's.</summary>
    private static async Task AssertTracedAsync(TraceStore store, string from, string to)
    {
        IReadOnlyList<TraceSummary> Of() => [.. store.List(new TraceQuery(null, "shop", TimeSpan.Zero, false, 100)).Where(t => t.Root == $"GET {to}" && t.Spans == 3)];
        await Eventually.Async(() => Of().Count >= 5, $"five traces of {from} calling {to}", TimeSpan.FromSeconds(60));
        Assert.All(Of(), t => Assert.Equal((from, "shop", false), (t.Workload, t.Namespace, t.Failed)));
        Assert.All(Of(), t => Assert.Equal([from, to], t.Services));
        var spans = store.Find(Of()[0].TraceId)!.ToDictionary(s => s.Kind);
        Assert.Null(spans["client"].ParentId);
        Assert.Equal((spans["client"].SpanId, spans["internal"].SpanId), (spans["internal"].ParentId, spans["server"].ParentId));
        Assert.Equal((from, to), (spans["internal"].Workload, spans["server"].Workload));
        Assert.Equal($"spiffe://corp.test/ns/shop/sa/{from}", spans["server"].Attributes["mesh.peer"]);
        Assert.Equal(200L, spans["server"].Attributes["http.response.status_code"]);
    }

    [Fact]
    public async Task Process_WithItsControlPlaneAndSettingsOfAnother_SaysWhatToRemove()
    {
        Folder("config");
        await using var app = App(FreePort.Next(), builder =>
        {
            builder.Services.AddMeshControlPlane(Configure).AddMesh();
            builder.Services.Configure<MeshOptions>(o => (o.ControlPlane, o.Token) = ("https://127.0.0.1:1", "t"));
        });

        var error = await Assert.ThrowsAsync<MeshConfigurationException>(() => app.StartAsync(Token));

        Assert.Equal(2, error.Problems.Count);
        Assert.Contains("Mesh:ControlPlane is set, but this process runs the control plane itself", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Process_WithItsControlPlane_TakesItsDomains()
    {
        Folder("config");
        await using var app = App(FreePort.Next(), builder => builder.Services.AddMesh().AddMeshControlPlane(Configure));

        var options = app.Services.GetRequiredService<IOptions<MeshOptions>>().Value;

        Assert.Equal(("corp.test", "corp.local"), (options.TrustDomain, options.ClusterDomain));
    }

    private static async Task<long> RequestsAsync(IGoldenQueries golden, string source, string destination) =>
        (await PairsAsync(golden)).Where(p => p.Source == source && p.Destination == destination).Sum(p => p.Requests);

    private static async Task<IReadOnlyList<Pair>> PairsAsync(IGoldenQueries golden) =>
        Pair.Of((await golden.ReadAsync(new GoldenQuery(GoldenBy.Pair, GoldenQuery.Start, TimeProvider.System.GetUtcNow()), Token)).Items);

    private static async Task<string> CallAsync(WebApplication app, string url)
    {
        using var client = app.Services.GetRequiredService<IHttpClientFactory>().CreateClient();
        return await client.GetStringAsync(url, Token);
    }

    private WebApplication App(int port, Action<WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddProvider(new FakeLoggerProvider(_logs));
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        configure(builder);
        var app = builder.Build();
        app.MapGet("/", (HttpContext c) => c.Features.Get<MeshPeerFeature>()?.Id.ToString() ?? "nobody");
        return app;
    }

    private void Configure(MeshControlPlaneOptions o)
    {
        (o.ConfigFolder, o.DataFolder) = (Folder("config"), Folder("data"));
        (o.AdsPort, o.GrpcPort, o.HttpPort) = (0, 0, 0);
        (o.TrustDomain, o.ClusterDomain) = ("corp.test", "corp.local");
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

    private static string Yaml(string name, int port) => $$"""
        apiVersion: v1
        kind: Service
        metadata: { name: {{name}}, namespace: shop }
        spec:
          ports: [{ name: web, port: 80 }]
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {{name}}-1
          namespace: shop
          labels: { kubernetes.io/service-name: {{name}} }
          annotations: { meshlib.io/service-account: {{name}} }
        addressType: IPv4
        ports: [{ name: web, port: {{port}} }]
        endpoints: [{ addresses: [127.0.0.1] }]

        """;
}
