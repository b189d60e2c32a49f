using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Mesh.Conformance.Tests.Targets;

internal static class Tcp
{
    public static async Task<Stream> ConnectAsync(EndPoint address)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, TestContext.Current.CancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Connections that the server at this address still has open.</summary>
    public static int OpenAt(EndPoint address)
    {
        var port = ((IPEndPoint)address).Port;
        return IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpConnections()
            .Count(c => c.LocalEndPoint.Port == port && (c.State is TcpState.Established or TcpState.CloseWait));
    }
}
