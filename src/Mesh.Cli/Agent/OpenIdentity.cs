using Mesh.Hosting;
using Mesh.Identity;

namespace Mesh.Cli.Agent;

/// <summary>Joins the mesh as the workload that the options name. Does not wait for the first certificate.</summary>
internal delegate Task<OpenedIdentity> OpenIdentity(MeshOptions options, CancellationToken cancellationToken);

/// <summary>An identity that is kept current until this is disposed.</summary>
internal sealed record OpenedIdentity(IWorkloadIdentitySource Source, IAsyncDisposable Lifetime) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Lifetime.DisposeAsync();
}
