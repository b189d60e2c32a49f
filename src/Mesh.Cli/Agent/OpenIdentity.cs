using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;

namespace Mesh.Cli.Agent;

/// <summary>Joins the mesh as the workload that the options name. Does not wait for the first certificate.</summary>
internal delegate Task<OpenedIdentity> OpenIdentity(MeshOptions options, CancellationToken cancellationToken);

/// <summary>An identity that is kept current until this is disposed.</summary>
/// <param name="Config">The identity's own stream to the control plane.</param>
internal sealed record OpenedIdentity(IWorkloadIdentitySource Source, IConfigSource Config, IAsyncDisposable Lifetime) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Lifetime.DisposeAsync();
}
