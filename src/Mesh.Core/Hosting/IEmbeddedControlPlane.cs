using Mesh.Identity;
using Mesh.Spiffe;
using Mesh.Xds;

namespace Mesh.Hosting;

/// <summary>The control plane that runs inside this process: when one is registered, the mesh takes from it in memory what others get over the network (contracts §5).</summary>
internal interface IEmbeddedControlPlane
{
    /// <summary>Certificates for this process, signed by a call: no token, because the process that holds the root needs none.</summary>
    ISvidSource CreateSvidSource(SpiffeId id, string nodeId);

    /// <summary>Configuration and telemetry of a peer that is known to be <paramref name="id"/>.</summary>
    IAdsConnector CreateConnector(SpiffeId id);
}
