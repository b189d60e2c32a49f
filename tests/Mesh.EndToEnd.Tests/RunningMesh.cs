using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace Mesh.EndToEnd.Tests;

/// <summary>A real control plane in its own process, on a folder of manifests, and the services that a test puts into its mesh.</summary>
internal sealed class RunningMesh : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-e2e-").FullName;
    private readonly List<IAsyncDisposable> _services = [];
    private string[] _arguments = [];
    private ChildProcess? _controlPlane;
    private JsonElement _ready;

    public string Manifests => Directory.CreateDirectory(Path.Combine(_folder, "manifests")).FullName;

    public string Data => Path.Combine(_folder, "data");

    public string Scratch(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

    /// <summary>What the services in this process have logged.</summary>
    public FakeLogCollector Logs { get; } = FakeLogCollector.Create(new FakeLogCollectorOptions());

    public HttpClient Api { get; private set; } = new();

    public string Grpc => $"https://{_ready.GetProperty("grpc").GetString()}";

    public string Ads => _ready.GetProperty("ads").GetString()!;

    public string Http => _ready.GetProperty("http").GetString()!;

    public string TrustBundle => _ready.GetProperty("trust_bundle").GetString()!;

    public string AdminToken => _ready.GetProperty("token").GetString()!;

    public ChildProcess ControlPlane => _controlPlane!;

    public static Task<RunningMesh> StartAsync(params (string File, string Yaml)[] manifests) => StartWithAsync([], manifests);

    /// <param name="arguments">More of the control plane's.</param>
    public static async Task<RunningMesh> StartWithAsync(string[] arguments, params (string File, string Yaml)[] manifests)
    {
        var mesh = new RunningMesh { _arguments = arguments };
        foreach (var (file, yaml) in manifests)
        {
            File.WriteAllText(Path.Combine(mesh.Manifests, file), yaml);
        }

        try
        {
            await mesh.StartControlPlaneAsync();
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the control plane; after a kill it comes back on the same ports with the same data.</summary>
    public async Task StartControlPlaneAsync()
    {
        string[] ports = _ready.ValueKind == JsonValueKind.Undefined
            ? ["--port-base", "0"]
            : ["--ads-port", Port(Ads), "--grpc-port", Port(Grpc), "--http-port", Port(Http)];
        _controlPlane = ChildProcess.StartOurs("Mesh.ControlPlane", ["--config", Manifests, "--data", Data, .. ports, .. _arguments]);
        _ready = JsonDocument.Parse(await _controlPlane.FirstLineAsync(TimeSpan.FromSeconds(60))).RootElement;
        Api.Dispose();
        Api = new HttpClient { BaseAddress = new Uri(Http) };
        Api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminToken);
    }

    public async Task<string> CreateTokenAsync(string serviceAccount)
    {
        using var answer = await Api.PostAsJsonAsync("/api/v1/tokens", new { @namespace = "shop", service_account = serviceAccount });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString()!;
    }

    /// <summary>What an operator sets for a workload.</summary>
    public async Task<Dictionary<string, string?>> SettingsAsync(string serviceAccount) => new()
    {
        ["Mesh:ControlPlane"] = Grpc,
        ["Mesh:TrustBundle"] = TrustBundle,
        ["Mesh:Token"] = await CreateTokenAsync(serviceAccount),
        ["Mesh:Namespace"] = "shop",
        ["Mesh:ServiceAccount"] = serviceAccount,
        ["Mesh:TelemetryInterval"] = "00:00:01",
    };

    /// <summary>Starts an app with UseMesh() and AddMesh() on this port; it is stopped with the mesh.</summary>
    /// <param name="change">What this workload's operator set otherwise.</param>
    public async Task<WebApplication> StartServiceAsync(
        string serviceAccount, int port, Action<WebApplication> map, Action<WebApplicationBuilder>? configure = null, Action<Dictionary<string, string?>>? change = null)
    {
        var settings = await SettingsAsync(serviceAccount);
        change?.Invoke(settings);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders().AddFilter(level => level >= LogLevel.Warning).AddProvider(new FakeLoggerProvider(Logs));
        builder.Configuration.AddInMemoryCollection(settings);
        builder.WebHost.UseUrls($"http://127.0.0.1:{port}");
        builder.WebHost.UseMesh();
        builder.Services.AddMesh();
        configure?.Invoke(builder);
        var app = builder.Build();
        _services.Add(app);
        map(app);
        await app.StartAsync();
        return app;
    }

    public async Task<JsonElement[]> GetAsync(string path) => (await Api.GetFromJsonAsync<JsonElement[]>(path))!;

    public Task<JsonElement> StatusAsync() => Api.GetFromJsonAsync<JsonElement>("/api/v1/status");

    /// <summary>Waits until the control plane has seen every endpoint of these services serve the mesh.</summary>
    public async Task WaitUntilMeshedAsync(params string[] services)
    {
        var workloads = Array.Empty<JsonElement>();
        await Eventually.Async(
            async () =>
            {
                workloads = [.. (await GetAsync("/api/v1/workloads")).Where(w => services.Contains(w.GetProperty("service").GetString()))];
                return services.All(s => workloads.Any(w => w.GetProperty("service").GetString() == s)) && workloads.All(w => w.GetProperty("meshed").GetBoolean());
            },
            $"every endpoint of {string.Join(", ", services)} is meshed",
            TimeSpan.FromSeconds(30));
    }

    public static int FreePort() => Mesh.Testing.FreePort.Next();

    /// <summary>A Service with one slice per replica, all of one service account.</summary>
    public static string ServiceYaml(string name, int port, params int[] replicas) => $"""
        apiVersion: v1
        kind: Service
        metadata: {"{"} name: {name}, namespace: shop {"}"}
        spec:
          ports: [{"{"} name: web, port: {port} {"}"}]
        """ + string.Concat(replicas.Select((replica, i) => $"""

        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: {name}-{i + 1}
          namespace: shop
          labels: {"{"} kubernetes.io/service-name: {name} {"}"}
          annotations: {"{"} meshlib.io/service-account: {name} {"}"}
        addressType: IPv4
        ports: [{"{"} name: web, port: {replica} {"}"}]
        endpoints: [{"{"} addresses: [127.0.0.1] {"}"}]
        """));

    public async ValueTask DisposeAsync()
    {
        foreach (var service in _services)
        {
            await service.DisposeAsync();
        }

        Api.Dispose();
        if (_controlPlane is not null)
        {
            await _controlPlane.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static string Port(string address) => address[(address.LastIndexOf(':') + 1)..].TrimEnd('/');
}
