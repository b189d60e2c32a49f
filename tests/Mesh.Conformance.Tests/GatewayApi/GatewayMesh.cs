using Mesh.ControlPlane.Model;
using Mesh.Testing;

namespace Mesh.Conformance.Tests.GatewayApi;

/// <summary>A mesh in which all cases are at once: a control plane, the apps of all Pods, and callers as they are needed. Cases share Pods and never a parent.</summary>
internal sealed class GatewayMesh : IAsyncDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mesh-gateway-").FullName;
    private readonly EchoServers _servers = new();
    private readonly Dictionary<string, ICaller> _callers = [];

    public ClusterObjects Objects { get; } = new();

    public TestedControlPlane? ControlPlane { get; private set; }

    public MeshModel Model => ControlPlane!.Model;

    public IReadOnlyCollection<Seen> SeenOf(string id) => _servers.SeenOf(id);

    /// <param name="source">Where the control plane has the objects from: <c>folder</c> or <c>kubernetes</c>.</param>
    public static async Task<GatewayMesh> StartAsync(string source)
    {
        var mesh = new GatewayMesh();
        try
        {
            var controlPlane = mesh.ControlPlane = source == "folder" ? new FolderControlPlane(mesh._folder, mesh.Objects) : await ClusterControlPlane.CreateAsync(mesh._folder, mesh.Objects);
            await controlPlane.StartAsync();
            await mesh._servers.StartAsync(mesh.Objects.Pods, controlPlane.Settings);
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
            var settings = ControlPlane!.Settings(ns, account);
            _callers.Add($"{via} {who}", caller = via == "library"
                ? await LibraryCaller.StartAsync(settings)
                : await SidecarCaller.StartAsync(settings, (host, port) => Objects.Resolve(host, port, ns)));
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
        if (ControlPlane is not null)
        {
            await ControlPlane.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>The meshes of the tests of one class, each started by the first that needs it; one that can't be started is not tried again.</summary>
public sealed class GatewayMeshes : IAsyncLifetime
{
    private readonly Dictionary<string, Task<GatewayMesh>> _meshes = [];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var mesh in _meshes.Values.Where(m => m.IsCompletedSuccessfully))
        {
            await (await mesh).DisposeAsync();
        }
    }

    internal Task<GatewayMesh> GetAsync(string source) => _meshes.TryGetValue(source, out var mesh) ? mesh : _meshes[source] = GatewayMesh.StartAsync(source);
}
