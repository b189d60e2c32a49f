using System.Net;
using System.Net.Sockets;

namespace Shop;

/// <summary>Finds free ports on loopback that stay free.</summary>
/// <remarks>They lie below the range that the kernel gives to outgoing connections (32768 and up on Linux): a port from there could be gone when a killed program wants it back.</remarks>
internal sealed class Ports(Random random)
{
    private const int First = 18_000;
    private const int End = 32_000;
    private readonly HashSet<int> _taken = [];

    public int Take()
    {
        for (var attempt = 0; attempt < 2_000; attempt++)
        {
            var port = random.Next(First, End);
            if (_taken.Contains(port) || !IsFree(port))
            {
                continue;
            }

            _taken.Add(port);
            return port;
        }

        throw new ShopException($"No free TCP port was found on 127.0.0.1 between {First} and {End}. End what holds them and start again.");
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
