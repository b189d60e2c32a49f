using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Mesh.Testing;
using Mesh.Testing.Namespaces;
using Xunit;

namespace Mesh.Pods.Tests;

/// <summary>A mesh of pods: network namespaces on one bridge, a control plane in one of them on a folder of YAML, and sidecars that join it with tokens.</summary>
internal sealed class PodMesh : IAsyncDisposable
{
    public const string KubernetesNamespace = "pods";

    /// <summary>Programs that are compiled as they start, on a machine that does other things.</summary>
    public static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(120);

    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-pods-").FullName;
    private readonly PodNetwork _network;
    private readonly Dictionary<string, MeshPod> _pods = [];
    private HttpClient _api = new();
    private JsonElement _ready;

    private PodMesh(PodNetwork network) => _network = network;

    public MeshPod this[string name] => _pods[name];

    /// <summary>The namespace through which all that pods send goes.</summary>
    public NetworkNamespace Node => _network.Node;

    public string Grpc => $"https://{_ready.GetProperty("grpc").GetString()}";

    public string TrustBundle { get; private set; } = "";

    /// <summary>The running control plane.</summary>
    public NamespaceProcess ControlPlane { get; private set; } = null!;

    /// <summary>Where the control plane runs.</summary>
    public Pod Plane => _network["plane"];

    /// <summary>Makes the pods and starts the control plane in one more.</summary>
    /// <param name="manifests">The YAML, once the pods' addresses are known.</param>
    public static async Task<PodMesh> StartAsync(IReadOnlyList<PodSpec> pods, Func<PodMesh, string> manifests)
    {
        var mesh = new PodMesh(await PodNetwork.CreateAsync(["plane", .. pods.Select(p => p.Name)]));
        try
        {
            Open(mesh._folder);
            foreach (var pod in pods)
            {
                mesh._pods[pod.Name] = new MeshPod(mesh, mesh._network[pod.Name], pod.Account, pod.Settings ?? new Dictionary<string, string>());
            }

            mesh.Write("mesh.yaml", manifests(mesh));
            await Task.WhenAll(mesh.StartControlPlaneAsync(), Programs.InstallAsync());
            await Task.WhenAll(pods.Where(p => p.Account is not null).Select(p => mesh[p.Name].RedirectAsync()));
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts the sidecars of these pods, and waits until they are ready.</summary>
    public async Task StartSidecarsAsync(params string[] pods)
    {
        foreach (var pod in pods)
        {
            await this[pod].StartSidecarAsync();
        }

        await Task.WhenAll(pods.Select(p => this[p].ReadyAsync()));
    }

    /// <summary>Starts the control plane, again with the same data.</summary>
    public async Task StartControlPlaneAsync()
    {
        var (file, arguments) = Programs.Ours("Mesh.ControlPlane", "--config", Folder("manifests"), "--data", Folder("data"), "--address", Plane.IpV4.ToString());
        ControlPlane = Plane.Namespace.Start(null, file, arguments);
        await ControlPlane.OutputAsync("\"ready\":true", StartLimit);
        _ready = JsonDocument.Parse(ControlPlane.Output.Split('\n').First(l => l.Contains("\"ready\":true", StringComparison.Ordinal))).RootElement;
        TrustBundle = Path.Combine(_folder, "bundle.pem");
        await File.WriteAllTextAsync(TrustBundle, await File.ReadAllTextAsync(_ready.GetProperty("trust_bundle").GetString()!));
        Open(TrustBundle);
        _api.Dispose();
        _api = PlaneClient(_ready.GetProperty("http").GetString()!);
        _api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", _ready.GetProperty("token").GetString());
    }

    /// <summary>Starts another control plane beside the first, which nobody joins: it asks a Prometheus server in place of a store of its own.</summary>
    /// <param name="started">To be ended by the caller, also when this fails.</param>
    /// <returns>Its API.</returns>
    public async Task<HttpClient> StartOnPrometheusAsync(string prometheus, List<NamespaceProcess> started)
    {
        var (file, arguments) = Programs.Ours("Mesh.ControlPlane", "--config", Folder("manifests"), "--data", Folder("beside"), "--port-base", "0", "--prometheus", prometheus);
        var process = Plane.Namespace.Start(null, file, arguments);
        started.Add(process);
        await process.OutputAsync("\"ready\":true", StartLimit);
        var ready = JsonDocument.Parse(process.Output.Split('\n').First(l => l.Contains("\"ready\":true", StringComparison.Ordinal))).RootElement;
        var api = PlaneClient(ready.GetProperty("http").GetString()!);
        api.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", ready.GetProperty("token").GetString());
        return api;
    }

    /// <summary>A client whose connections are made where the control plane runs.</summary>
    public HttpClient PlaneClient(string address) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        ConnectCallback = async (context, cancel) =>
        {
            var socket = Plane.Namespace.Inside(null, () => new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp));
            await socket.ConnectAsync(context.DnsEndPoint, cancel);
            return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri(address), Timeout = TimeSpan.FromSeconds(30) };

    /// <summary>Asks the control plane's API.</summary>
    public async Task<JsonElement> ApiAsync(string path) => await _api.GetFromJsonAsync<JsonElement>(path, Xunit.TestContext.Current.CancellationToken);

    public async Task<string> CreateTokenAsync(string account)
    {
        using var answer = await _api.PostAsJsonAsync("/api/v1/tokens", new { @namespace = KubernetesNamespace, service_account = account });
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString()!;
    }

    /// <summary>Waits until the control plane has seen every endpoint of these Services serve the mesh.</summary>
    public async Task WaitUntilMeshedAsync(params string[] services)
    {
        var last = "";
        try
        {
            await Eventually.Async(
                async () =>
                {
                    var all = (await _api.GetFromJsonAsync<JsonElement[]>("/api/v1/workloads"))!.Where(w => services.Contains(w.GetProperty("service").GetString())).ToArray();
                    last = string.Join('\n', all);
                    return services.All(s => all.Any(w => w.GetProperty("service").GetString() == s)) && all.All(w => w.GetProperty("meshed").GetBoolean());
                },
                $"every endpoint of {string.Join(", ", services)} is meshed",
                StartLimit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\n{last}\n{Said()}", e);
        }
    }

    /// <summary>Runs <c>mesh</c> as an operator would, on the control plane's machine.</summary>
    public async Task<string> CliAsync(params string[] arguments)
    {
        var (file, all) = Programs.Ours("mesh", arguments);
        var result = await Plane.Namespace.RunAsync(null, file, all, new Dictionary<string, string>
        {
            ["MESH_SERVER"] = _ready.GetProperty("http").GetString()!,
            ["MESH_TOKEN"] = _ready.GetProperty("token").GetString()!,
        });
        Assert.True(result.ExitCode == 0, $"mesh {string.Join(' ', arguments)} ended with {result.ExitCode}: {result.Errors}");
        return result.Output;
    }

    /// <summary>Writes a manifest; the control plane sees the change.</summary>
    public void Write(string name, string yaml) => File.WriteAllText(Path.Combine(Folder("manifests"), name), yaml);

    public void Delete(string name) => File.Delete(Path.Combine(Folder("manifests"), name));

    /// <summary>A path for a file that all users of the pods may read.</summary>
    public string Scratch(string name) => Path.Combine(_folder, name);

    /// <summary>What the sidecars said so far, for a failure's message.</summary>
    public string Said() => string.Join('\n', _pods.Values.Where(p => p.Sidecar is not null).Select(p => $"--- {p.Name}: {p.Sidecar.Output}{p.Sidecar.Errors}"));

    public async ValueTask DisposeAsync()
    {
        _api.Dispose();
        await _network.DisposeAsync();
        if (Directory.Exists(_folder))
        {
            Directory.Delete(_folder, recursive: true);
        }
    }

    private string Folder(string name) => Directory.CreateDirectory(Path.Combine(_folder, name)).FullName;

#pragma warning disable CA1416 // namespaces are Linux's
    /// <summary>Readable, and a folder passable, for all.</summary>
    private static void Open(string path) => File.SetUnixFileMode(path, (UnixFileMode)0b111_101_101);
#pragma warning restore CA1416
}

/// <param name="Account">The service account; null: a pod without a sidecar.</param>
/// <param name="Settings">Of the sidecar.</param>
internal sealed record PodSpec(string Name, string? Account, IReadOnlyDictionary<string, string>? Settings = null);
