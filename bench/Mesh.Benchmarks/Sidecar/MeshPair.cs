using System.Globalization;
using System.Net;
using System.Text.Json;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>Two of our sidecars, as eng/build-proxy made them, with a control plane in the hub.</summary>
internal sealed class MeshPair(LabHost caller, LabHost callee, MeshPlane plane) : SidecarPair("mesh", caller, callee)
{
    public static string Program => Environment.GetEnvironmentVariable("BENCH_PROXY") ?? Path.GetFullPath("artifacts/proxy/mesh-proxy");

    public static string? Lacks() =>
        !File.Exists(Program) ? "there is no sidecar; run eng/build-proxy"
        : !File.Exists(MeshPlane.Program) ? "there is no control plane; run dotnet build src/Mesh.ControlPlane"
        : null;

    protected override async Task RedirectAsync()
    {
        int[] ports = [BenchApp.HttpPort, BenchApp.GrpcPort, BenchApp.TcpPort];
        await Caller.RedirectAsync("OUTPUT", ports.Select(p => (p, 4140)));
        await Callee.RedirectAsync("PREROUTING", ports.Select(p => (p, 4143)));
    }

    protected override Task<LabProcess?> StartInboundAsync() => StartAsync(Callee, "server");

    protected override Task<LabProcess?> StartOutboundAsync() => StartAsync(Caller, "client");

    private async Task<LabProcess?> StartAsync(LabHost host, string account)
    {
        // It asks before the proxy is there: a program that starts after it would be measured with it.
        var asking = host.Start(null, null, Environment.ProcessPath!, "sidecar-load", "ready", "http://127.0.0.1:4191/ready");
        await asking.SaysAsync("asking", TimeSpan.FromSeconds(60));
        var settings = await plane.SettingsAsync(account);
        // To compare settings of the runtime: BENCH_PROXY_ENV='NAME=VALUE NAME=VALUE'.
        foreach (var setting in (Environment.GetEnvironmentVariable("BENCH_PROXY_ENV") ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            settings[setting.Split('=')[0]] = setting.Split('=')[1];
        }

        var process = Launch(host, settings, Program, "run");
        try
        {
            await asking.SaysAsync("ready", TimeSpan.FromSeconds(60));
        }
        catch (InvalidOperationException e)
        {
            throw new InvalidOperationException($"mesh-proxy is not ready, and said: {process.Output}", e);
        }

        return process;
    }
}

/// <summary>The control plane of the bench: one Service with three ports, one endpoint.</summary>
internal sealed class MeshPlane
{
    private readonly LabHost _hub;
    private readonly JsonElement _ready;
    private readonly string _bundle;

    /// <summary>Built as this program is: in Release to measure, in Debug to see that it runs.</summary>
    public static string Program => Path.GetFullPath($"src/Mesh.ControlPlane/bin/{Configuration}/net10.0/Mesh.ControlPlane.dll");

    private static string Configuration => Directory.GetParent(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory))!.Name;

    private MeshPlane(LabHost hub, JsonElement ready, string bundle) => (_hub, _ready, _bundle) = (hub, ready, bundle);

    public static async Task<MeshPlane> StartAsync(LabHost hub, LabHost callee, SidecarFiles files)
    {
        var manifests = files.Folder("manifests");
        files.Write("manifests/bench.yaml", Manifest(callee.Address));
        var process = hub.Start(null, null, "dotnet", Program, "--config", manifests, "--data", files.Folder("control-plane"), "--address", hub.Address.ToString());
        var ready = JsonDocument.Parse(await process.SaysAsync("\"ready\":true", TimeSpan.FromSeconds(60))).RootElement;
        var bundle = files.Write("bundle.pem", await File.ReadAllTextAsync(ready.GetProperty("trust_bundle").GetString()!));
        return new MeshPlane(hub, ready, bundle);
    }

    /// <summary>With a join token of its own: each is good for one start.</summary>
    public async Task<Dictionary<string, string>> SettingsAsync(string account) => new()
    {
        ["MESH_CONTROL_PLANE"] = $"https://{Text("grpc")}",
        ["MESH_TRUST_BUNDLE"] = _bundle,
        ["MESH_TOKEN"] = (await _hub.RunAsync(Environment.ProcessPath!, "sidecar-load", "token", Text("http"), Text("token"), account)).Trim(),
        ["MESH_NAMESPACE"] = "bench",
        ["MESH_SERVICE_ACCOUNT"] = account,
        ["MESH_WORKLOAD"] = account,
        ["MESH_INBOUND_PORTS"] = string.Create(CultureInfo.InvariantCulture, $"{BenchApp.HttpPort},{BenchApp.GrpcPort},{BenchApp.TcpPort}"),
    };

    private string Text(string name) => _ready.GetProperty(name).GetString()!;

    private static string Manifest(IPAddress callee) => $"""
        apiVersion: v1
        kind: Service
        metadata: {Braced("name: bench, namespace: bench")}
        spec:
          clusterIP: {SidecarPair.ServiceAddress}
          ports:
          - {Braced($"name: http, port: {BenchApp.HttpPort}")}
          - {Braced($"name: grpc, port: {BenchApp.GrpcPort}, appProtocol: kubernetes.io/h2c")}
          - {Braced($"name: tcp, port: {BenchApp.TcpPort}")}
        ---
        apiVersion: discovery.k8s.io/v1
        kind: EndpointSlice
        metadata:
          name: bench-1
          namespace: bench
          labels: {Braced("kubernetes.io/service-name: bench")}
          annotations: {Braced("meshlib.io/service-account: server")}
        addressType: IPv4
        ports:
        - {Braced($"name: http, port: {BenchApp.HttpPort}")}
        - {Braced($"name: grpc, port: {BenchApp.GrpcPort}, appProtocol: kubernetes.io/h2c")}
        - {Braced($"name: tcp, port: {BenchApp.TcpPort}")}
        endpoints:
        - addresses: [{callee}]

        """;

    private static string Braced(string text) => "{" + text + "}";
}
