using System.Net;
using System.Net.Sockets;

namespace Mesh.Testing;

/// <summary>Ports for manifests, which need them before a service listens.</summary>
internal static class FreePort
{
    private const int First = 18000;
    private const int Count = 14000;
    private static int _last = Random.Shared.Next(Count);

    /// <summary>A loopback port below the range of outgoing connections and of "any free port", free now and never given twice.</summary>
    public static int Next()
    {
        while (true)
        {
            var port = First + ((Interlocked.Increment(ref _last) & int.MaxValue) % Count);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Taken: the next one.
            }
        }
    }
}
