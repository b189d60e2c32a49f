using Grpc.Core;
using Mesh.ControlPlane.CertificateAuthority;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Xds;
using Microsoft.Extensions.Options;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What <c>AddMesh()</c> and <c>UseMesh()</c> find when the control plane runs in their own process.</summary>
internal sealed class InProcessControlPlane(MeshControlPlane handle) : IEmbeddedControlPlane
{
    /// <inheritdoc/>
    public ISvidSource CreateSvidSource(SpiffeId id, string nodeId) => new InProcessSvidSource(handle.Inner.WaitAsync, id, nodeId);

    /// <inheritdoc/>
    public IAdsConnector CreateConnector(SpiffeId id) => new Connector(handle, id);

    private sealed class Connector(MeshControlPlane handle, SpiffeId id) : IAdsConnector
    {
        public async ValueTask<CallInvoker> ConnectAsync(CancellationToken cancellationToken) =>
            new InProcessCalls(await handle.Inner.WaitAsync(cancellationToken), id);
    }
}

/// <summary>The control plane's trust domain and names hold for its own process too: said once.</summary>
internal sealed class InProcessMeshOptions(MeshControlPlaneOptions controlPlane) : IPostConfigureOptions<MeshOptions>
{
    public void PostConfigure(string? name, MeshOptions options) =>
        (options.TrustDomain, options.ClusterDomain) = (controlPlane.TrustDomain, controlPlane.ClusterDomain);
}
