using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Mesh.Transparent.Interception;

/// <summary>Where a redirected connection was going before the kernel turned it to us.</summary>
/// <remarks>
/// SO_ORIGINAL_DST reads the connection's entry in conntrack. It is asked by getsockopt itself and not by Socket.GetRawSocketOption,
/// which throws where there is no entry: that is no error here, and may be every connection of a port.
/// </remarks>
internal static unsafe partial class OriginalDestination
{
    private const int SolIp = 0;
    private const int SolIpV6 = 41;

    // The same number in both families: SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST.
    private const int SoOriginalDst = 80;

    private const int AfInet = 2;
    private const int AfInet6 = 10;

    // sockaddr_in and sockaddr_in6: family (host order), port (network order), then the address at 4 or at 8, and the scope at 24.
    private const int SizeIpV4 = 16;
    private const int SizeIpV6 = 28;

    private static ReadOnlySpan<byte> MappedPrefix => [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

    /// <summary>Reads it from an accepted socket of either family; an IPv4 destination is given as IPv4, also on a dual-mode socket.</summary>
    /// <returns>False when the connection was not redirected: it came to the address it asked for, or nothing is tracked.</returns>
    public static bool TryRead(Socket socket, [NotNullWhen(true)] out IPEndPoint? destination)
    {
        destination = null;
        var local = stackalloc byte[SizeIpV6];
        var length = SizeIpV6;
        if (GetSockName(socket.SafeHandle, local, ref length) != 0)
        {
            return false;
        }

        return BinaryPrimitives.ReadUInt16LittleEndian(new ReadOnlySpan<byte>(local, 2)) switch
        {
            AfInet => TryReadIpV4(socket.SafeHandle, new(local + 2, 2), new(local + 4, 4), out destination),
            AfInet6 when new ReadOnlySpan<byte>(local + 8, 12).SequenceEqual(MappedPrefix) =>
                TryReadIpV4(socket.SafeHandle, new(local + 2, 2), new(local + 20, 4), out destination),
            AfInet6 => TryReadIpV6(socket.SafeHandle, new(local, SizeIpV6), out destination),
            _ => false,
        };
    }

    private static bool TryReadIpV4(SafeHandle socket, ReadOnlySpan<byte> localPort, ReadOnlySpan<byte> localAddress, out IPEndPoint? destination)
    {
        destination = null;
        var original = stackalloc byte[SizeIpV4];
        var length = SizeIpV4;
        if (GetSockOpt(socket, SolIp, SoOriginalDst, original, ref length) != 0)
        {
            return false;
        }

        var port = new ReadOnlySpan<byte>(original + 2, 2);
        var address = new ReadOnlySpan<byte>(original + 4, 4);
        if (port.SequenceEqual(localPort) && address.SequenceEqual(localAddress))
        {
            return false;
        }

        destination = new IPEndPoint(new IPAddress(address), BinaryPrimitives.ReadUInt16BigEndian(port));
        return true;
    }

    private static bool TryReadIpV6(SafeHandle socket, ReadOnlySpan<byte> local, out IPEndPoint? destination)
    {
        destination = null;
        var original = stackalloc byte[SizeIpV6];
        var length = SizeIpV6;
        if (GetSockOpt(socket, SolIpV6, SoOriginalDst, original, ref length) != 0)
        {
            return false;
        }

        var port = new ReadOnlySpan<byte>(original + 2, 2);
        var address = new ReadOnlySpan<byte>(original + 8, 16);
        if (port.SequenceEqual(local.Slice(2, 2)) && address.SequenceEqual(local.Slice(8, 16)))
        {
            return false;
        }

        // The interface's number; not 0 for link-local addresses alone.
        var scope = BitConverter.ToUInt32(new ReadOnlySpan<byte>(original + 24, 4));
        destination = new IPEndPoint(new IPAddress(address, scope), BinaryPrimitives.ReadUInt16BigEndian(port));
        return true;
    }

    [LibraryImport("libc", EntryPoint = "getsockname")]
    private static partial int GetSockName(SafeHandle socket, byte* address, ref int length);

    [LibraryImport("libc", EntryPoint = "getsockopt")]
    private static partial int GetSockOpt(SafeHandle socket, int level, int option, byte* value, ref int length);
}
