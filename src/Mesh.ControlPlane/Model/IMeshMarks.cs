using Mesh.Spiffe;

namespace Mesh.ControlPlane.Model;

/// <summary>Which endpoints are known to be in the mesh (contracts §3). Thread-safe.</summary>
internal interface IMeshMarks
{
    /// <summary>True once a workload with that identity served that address.</summary>
    /// <param name="hostPort"><c>ip:port</c>, IPv6 in brackets: <see cref="ServiceEndpoint.HostPort"/>.</param>
    bool IsMeshed(string hostPort, SpiffeId id);

    /// <summary>True when a sidecar served it last, and not the workload itself.</summary>
    bool IsTransparent(string hostPort, SpiffeId id);
}
