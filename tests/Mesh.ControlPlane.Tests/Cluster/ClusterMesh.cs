using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Xds;
using Mesh.Hosting;
using Mesh.Testing;
using Mesh.Testing.Kubernetes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Xunit;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>A cluster in one process: an API server, replicas of the control plane that share nothing else, a Service before them, and workloads with real Kestrels.</summary>
internal sealed class ClusterMesh : IAsyncDisposable
{
    public const string Ns = "mesh-system";
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-cluster-").FullName;
    private readonly List<WebApplication> _apps = [];
    private readonly Lock _lock = new();
    private readonly List<Replica> _replicas = [];
    private readonly Wire _service;
    private int _turn;

    private ClusterMesh(FakeKubeApi server)
    {
        Server = server;
        _service = new Wire(Next);
    }

    public FakeKubeApi Server { get; }

    public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

    /// <summary>Of the control plane's service account; the administrator's unless rights are looked at.</summary>
    public string? ControlPlaneToken { get; set; }

    public IReadOnlyList<Replica> Replicas
    {
        get
        {
            lock (_lock)
            {
                return [.. _replicas];
            }
        }
    }

    public Replica Leader => Replicas.Single(r => r.Lease.IsLeader);

    public static async Task<ClusterMesh> StartAsync(FakeKubeApiOptions? options = null)
    {
        var mesh = new ClusterMesh(await FakeKubeApi.StartAsync(options));
        mesh.Server.Apply("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"mesh-system\"}}");
        mesh.Server.Apply("{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"shop\"}}");
        return mesh;
    }

    /// <summary>Starts a replica: its Pod is there first.</summary>
    public async Task<Replica> ReplicaAsync(string name, Action<MeshControlPlaneOptions>? configure = null)
    {
        Pod(Ns, name, "mesh-control-plane", null);
        var replica = new Replica(this, name, configure);
        try
        {
            await replica.StartAsync();
        }
        catch
        {
            await replica.DisposeAsync();
            throw;
        }

        lock (_lock)
        {
            _replicas.Add(replica);
        }

        return replica;
    }

    public async Task<IReadOnlyList<Replica>> ReplicasAsync(params string[] names) => await Task.WhenAll(names.Select(n => ReplicaAsync(n)));

    public Task LeaderAsync() => Eventually.Async(() => Replicas.Count(r => r.Lease.IsLeader) == 1, "one replica leads", TimeSpan.FromSeconds(40));

    /// <summary>It is gone: no word, no release; its Pod is taken away.</summary>
    public async Task KillAsync(Replica replica)
    {
        lock (_lock)
        {
            _replicas.Remove(replica);
        }

        await replica.KillAsync();
        Server.Delete("pods", Ns, replica.Name);
    }

    public async Task StopAsync(Replica replica)
    {
        lock (_lock)
        {
            _replicas.Remove(replica);
        }

        await replica.StopAsync();
        await replica.DisposeAsync();
        Server.Delete("pods", Ns, replica.Name);
    }

    public void Pod(string ns, string name, string account, string? address, int? port = null)
    {
        var status = address is null
            ? new JsonObject { ["phase"] = "Running" }
            : new JsonObject { ["phase"] = "Running", ["podIP"] = address, ["podIPs"] = new JsonArray(new JsonObject { ["ip"] = address }), ["conditions"] = new JsonArray(new JsonObject { ["type"] = "Ready", ["status"] = "True" }) };
        Server.Apply(new JsonObject
        {
            ["apiVersion"] = "v1",
            ["kind"] = "Pod",
            ["metadata"] = new JsonObject { ["name"] = name, ["namespace"] = ns, ["labels"] = new JsonObject { ["app"] = account } },
            ["spec"] = new JsonObject
            {
                ["serviceAccountName"] = account,
                ["containers"] = new JsonArray(new JsonObject { ["name"] = "app", ["image"] = "app", ["ports"] = port is null ? new JsonArray() : new JsonArray(new JsonObject { ["containerPort"] = port }) }),
            },
            ["status"] = status,
        });
    }

    /// <summary>A Service with one meshed Pod behind it, which answers with its name.</summary>
    public async Task<WebApplication> ServeAsync(string name, string address = "127.0.0.2")
    {
        var port = FreePort.Next();
        Pod("shop", $"{name}-1", name, address, port);
        Server.Apply($$"""
            apiVersion: v1
            kind: Service
            metadata: { name: {{name}}, namespace: shop }
            spec: { clusterIP: 10.96.0.{{port % 250}}, clusterIPs: [10.96.0.{{port % 250}}], selector: { app: {{name}} }, ports: [{ name: web, port: 80, targetPort: {{port}} }] }
            ---
            apiVersion: discovery.k8s.io/v1
            kind: EndpointSlice
            metadata: { name: {{name}}-1, namespace: shop, labels: { kubernetes.io/service-name: {{name}} } }
            addressType: IPv4
            ports: [{ name: web, port: {{port}} }]
            endpoints: [{ addresses: [{{address}}], conditions: { ready: true }, targetRef: { kind: Pod, name: {{name}}-1, namespace: shop } }]
            """);
        return await AppAsync(name, $"http://{address}:{port}", builder => builder.WebHost.UseMesh(), context => context.Response.WriteAsync(
            context.Features.Get<Mesh.Server.MeshPeerFeature>()?.Id?.ToString() ?? "nobody"));
    }

    /// <summary>A meshed caller.</summary>
    public async Task<WebApplication> CallerAsync(string name)
    {
        Pod("shop", $"{name}-1", name, "127.0.0.9");
        return await AppAsync(name, $"http://127.0.0.9:{FreePort.Next()}", _ => { }, context => context.Response.CompleteAsync());
    }

    /// <summary>What went wrong, as replicas say it, and what was refused to them.</summary>
    public string Said() => string.Join('\n', Replicas.SelectMany(r => r.Logs.GetSnapshot().Where(l => l.Level >= LogLevel.Warning).Select(l => $"{r.Name}: {l.Message} {l.Exception?.Message}"))
        .Concat(Server.Log.All.Where(r => r.Status >= 400).Select(r => $"{r.Status} {r.Method} {r.Path}")).Distinct().Take(60));

    public string Mark(string pod) => Server.Get("pods", "shop", pod)["metadata"]?["annotations"]?["meshlib.io/meshed"]?.GetValue<string>() ?? "none";

    public async ValueTask DisposeAsync()
    {
        foreach (var app in Enumerable.Reverse(_apps))
        {
            await app.DisposeAsync();
        }

        foreach (var replica in Replicas)
        {
            await replica.KillAsync();
        }

        await _service.DisposeAsync();
        await Server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task<WebApplication> AppAsync(string name, string url, Action<WebApplicationBuilder> configure, RequestDelegate serve)
    {
        var token = Path.Combine(_folder, $"{name}.token");
        await File.WriteAllTextAsync(token, Server.IssueToken("shop", name, $"{name}-1", "meshlib.io"), TestContext.Current.CancellationToken);
        var bundle = Path.Combine(_folder, "ca.crt");
        await File.WriteAllTextAsync(bundle, Replicas[0].Authority.Trust.Pem, TestContext.Current.CancellationToken);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().SetMinimumLevel(LogLevel.Debug).AddProvider(new FakeLoggerProvider(Logs));
        builder.WebHost.UseUrls(url);
        builder.Services.AddMesh();
        builder.Services.Configure<MeshOptions>(o =>
        {
            (o.Namespace, o.ServiceAccount, o.Workload) = ("shop", name, name);
            (o.ControlPlane, o.TrustBundle, o.TokenFile) = ($"127.0.0.1:{_service.Address.Port}", bundle, token);
        });
        configure(builder);
        var app = builder.Build();
        _apps.Add(app);
        app.Run(serve);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    private Uri? Next()
    {
        lock (_lock)
        {
            var ready = _replicas.Where(r => r.InService).ToList();
            return ready.Count == 0 ? null : new Uri($"https://{ready[_turn++ % ready.Count].Addresses.Grpc}");
        }
    }

    /// <summary>One control plane, with a wire of its own to the API server.</summary>
    internal sealed class Replica : IAsyncDisposable
    {
        private readonly ClusterMesh _mesh;
        private readonly string _folder;
        private readonly MeshControlPlaneHost _host;
        private bool _over;

        public Replica(ClusterMesh mesh, string name, Action<MeshControlPlaneOptions>? configure)
        {
            (_mesh, Name, Wire) = (mesh, name, new Wire(mesh.Server.Address));
            _folder = Directory.CreateDirectory(Path.Combine(mesh._folder, $"{name}-{Guid.NewGuid():N}")).FullName;
            var token = Path.Combine(_folder, "api-token");
            File.WriteAllText(token, mesh.ControlPlaneToken ?? mesh.Server.Token);
            var options = new MeshControlPlaneOptions
            {
                Kubernetes = true, ApiServer = Wire.Address.ToString(), ApiTokenFile = token, SystemNamespace = Ns, ReplicaName = name,
                DataFolder = Path.Combine(_folder, "data"), AdsPort = 0, GrpcPort = 0, HttpPort = 0,
            };
            configure?.Invoke(options);
            _host = new MeshControlPlaneHost(options, ControlPlaneParts.Default, TimeProvider.System, LoggerFactory.Create(l => l.SetMinimumLevel(LogLevel.Information).AddProvider(new FakeLoggerProvider(Logs))));
        }

        public string Name { get; }

        public Wire Wire { get; }

        /// <summary>The Service sends connections to it.</summary>
        public bool InService { get; set; } = true;

        public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

        public ControlPlaneAddresses Addresses { get; private set; } = null!;

        public string? Webhooks => _host.Webhooks;

        public IServiceProvider Services => _host.Services!;

        public LeaderLease Lease => Services.GetRequiredService<LeaderLease>();

        public MeshAuthority Authority => Services.GetRequiredService<MeshAuthority>();

        public ModelStore Models => Services.GetRequiredService<ModelStore>();

        public ClientRegistry Clients => Services.GetRequiredService<ClientRegistry>();

        public TrustState State => Authority.State;

        public HttpClient Api(string? token = null)
        {
            var client = new HttpClient { BaseAddress = new Uri(Addresses.Http), Timeout = TimeSpan.FromSeconds(20) };
            client.DefaultRequestHeaders.Add("Authorization", $"Bearer {token ?? Addresses.Token}");
            return client;
        }

        public async Task StartAsync() => Addresses = await _host.StartAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(60));

        public Task StopAsync() => _host.StopAsync();

        /// <summary>The API server hears nothing of the end, and streams are cut.</summary>
        public async Task KillAsync()
        {
            Wire.Cut();
            await DisposeAsync();
        }

        public async ValueTask DisposeAsync()
        {
            if (!_over)
            {
                _over = true;
                await _host.DisposeAsync();
                await Wire.DisposeAsync();
            }
        }
    }
}
