using Mesh.ControlPlane;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Hosting;
using Mesh.ControlPlane.Model;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>A mesh in which all cases are at once: a control plane, the apps of all Pods, and callers as they are needed. Cases share Pods and never a parent.</summary>
internal sealed class GatewayMesh : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-gateway-").FullName;
    private readonly EchoServers _servers = new();
    private readonly Dictionary<string, ICaller> _callers = [];
    private readonly MeshControlPlaneHost _controlPlane;
    private ControlPlaneAddresses? _addresses;

    private GatewayMesh()
    {
        var options = new MeshControlPlaneOptions
        {
            ConfigFolder = Directory.CreateDirectory(Path.Combine(_folder, "manifests")).FullName,
            DataFolder = Path.Combine(_folder, "data"),
            AdsPort = 0,
            GrpcPort = 0,
            HttpPort = 0,
        };
        foreach (var (name, objects) in Objects.Files)
        {
            // JSON is YAML.
            File.WriteAllText(Path.Combine(options.ConfigFolder, name + ".yaml"), string.Join("\n---\n", objects.Select(o => o.ToJsonString())));
        }

        _controlPlane = new MeshControlPlaneHost(options, ControlPlaneParts.Default, TimeProvider.System, NullLoggerFactory.Instance);
    }

    public ClusterObjects Objects { get; } = new();

    public MeshModel Model => _controlPlane.Services!.GetRequiredService<ModelStore>().Current;

    public IReadOnlyCollection<Seen> SeenOf(string id) => _servers.SeenOf(id);

    public static async Task<GatewayMesh> StartAsync()
    {
        var mesh = new GatewayMesh();
        try
        {
            mesh._addresses = await mesh._controlPlane.StartAsync(CancellationToken.None);
            await mesh._servers.StartAsync(mesh.Objects.Pods, mesh.Settings);
            var meshed = mesh.Objects.Pods.Where(p => p.IsMeshed).SelectMany(p => p.Ports.Values.Select(port => $"{p.Address}:{port}")).ToHashSet();
            await Eventually.Async(
                () => mesh.Model.Services.Values.SelectMany(s => s.Endpoints).Where(e => meshed.Contains(e.HostPort)).All(e => e.Meshed), "every Pod of the mesh is in it", TimeSpan.FromSeconds(60));
            return mesh;
        }
        catch
        {
            await mesh.DisposeAsync();
            throw;
        }
    }

    /// <param name="who">Namespace and service account.</param>
    public async Task<ICaller> CallerAsync(string who, string via)
    {
        if (!_callers.TryGetValue($"{via} {who}", out var caller))
        {
            var (ns, account) = (who.Split('/')[0], who.Split('/')[1]);
            _callers.Add($"{via} {who}", caller = via == "library"
                ? await LibraryCaller.StartAsync(Settings(ns, account))
                : await SidecarCaller.StartAsync(Settings(ns, account), (host, port) => Objects.Resolve(host, port, ns)));
        }

        return caller;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var caller in _callers.Values)
        {
            await caller.DisposeAsync();
        }

        await _servers.DisposeAsync();
        await _controlPlane.StopAsync();
        await _controlPlane.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private Dictionary<string, string?> Settings(string ns, string account) => new()
    {
        ["Mesh:ControlPlane"] = $"https://{_addresses!.Grpc}",
        ["Mesh:TrustBundle"] = _addresses.TrustBundle,
        ["Mesh:Token"] = _controlPlane.Services!.GetRequiredService<JoinTokens>().Create(ns, account).Token,
        ["Mesh:Namespace"] = ns,
        ["Mesh:ServiceAccount"] = account,
    };
}

/// <summary>The mesh of the tests of one class; started by the first that needs it.</summary>
public sealed class GatewayMeshes : IAsyncLifetime
{
    private GatewayMesh? _mesh;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _mesh?.DisposeAsync() ?? ValueTask.CompletedTask;

    internal async Task<GatewayMesh> GetAsync() => _mesh ??= await GatewayMesh.StartAsync();
}
