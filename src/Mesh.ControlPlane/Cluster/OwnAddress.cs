using System.Net;
using System.Net.Sockets;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Where others in the cluster reach this process.</summary>
internal static class OwnAddress
{
    /// <summary>What is listened on; where that is every address, the one from which the API server is reached. Nothing is sent.</summary>
    public static IPEndPoint Of(IPEndPoint bound, Uri apiServer)
    {
        if (!bound.Address.Equals(IPAddress.Any) && !bound.Address.Equals(IPAddress.IPv6Any))
        {
            return bound;
        }

        try
        {
            using var socket = new Socket(SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(apiServer.Host, apiServer.Port);
            var own = ((IPEndPoint)socket.LocalEndPoint!).Address;
            return new IPEndPoint(own.IsIPv4MappedToIPv6 ? own.MapToIPv4() : own, bound.Port);
        }
        catch (SocketException)
        {
            // Without a way to the API server there are no others to tell either; it is told again at the next start.
            return new IPEndPoint(IPAddress.Loopback, bound.Port);
        }
    }
}
