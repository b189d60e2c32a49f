using Shop.Processes;

namespace Shop;

/// <summary>The shop's processes, those that serve and those that ask: ports of its own, a folder of its own, so that several stand beside each other.</summary>
/// <remarks>The services must have been built.</remarks>
internal sealed class OpenShop : IAsyncDisposable
{
    private static readonly TimeSpan _meshedLimit = TimeSpan.FromSeconds(90);

    public OpenShop(ChildStarter starter, ShopFolders folders, ShopOptions options)
    {
        Folders = folders;
        var ports = new Ports(Random.Shared);
        ControlPlane = new ControlPlane(starter, folders, ports);
        Services = new Services(starter, folders, options, ControlPlane);
        Services.ChoosePorts(ports);
        Manifests.CopyAll(Path.Combine(folders.Shop, "mesh"), folders.Mesh, Services.Ports);
    }

    public ShopFolders Folders { get; }

    public ControlPlane ControlPlane { get; }

    public Services Services { get; }

    /// <summary>Starts everything but the customers; returns when all are in the mesh.</summary>
    /// <param name="prepare">What is asked of the control plane before anybody joins.</param>
    public async Task StartAsync(Func<MeshApi, Task> prepare, CancellationToken cancellationToken)
    {
        await ControlPlane.StartAsync(cancellationToken);
        await prepare(ControlPlane.Api);
        await Services.StartAllAsync(cancellationToken);
        await Services.WaitUntilMeshedAsync(_meshedLimit, cancellationToken);
    }

    /// <summary>Ends the processes; the folder is left to whoever made it.</summary>
    public async ValueTask DisposeAsync()
    {
        await Services.DisposeAsync();
        await ControlPlane.DisposeAsync();
    }
}
