using System.Net;

namespace Mesh.Transparent.Interception;

/// <summary>Which destinations are this proxy itself, and which are this pod. Thread-safe.</summary>
internal sealed class OwnPorts(OwnAddresses addresses, SidecarOptions options)
{
    private readonly HashSet<int> _ports = [.. options.OutboundListen.Concat(options.InboundListen).Concat(options.AdminListen).Select(e => e.Port).Where(p => p != 0)];

    /// <summary>A connection to there would come back to the proxy.</summary>
    public bool IsProxy(IPEndPoint destination) => _ports.Contains(destination.Port) && IsPod(destination.Address);

    public bool IsPod(IPAddress address) => options.InstanceIps?.Contains(address) == true || addresses.Contains(address);
}
