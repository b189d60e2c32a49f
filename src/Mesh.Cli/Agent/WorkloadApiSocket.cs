using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Runtime.Versioning;

namespace Mesh.Cli.Agent;

/// <summary>The Unix socket that the Workload API is served on: which processes may connect, and who they are.</summary>
[SupportedOSPlatform("linux")]
internal static partial class WorkloadApiSocket
{
    private const int SolSocket = 1;
    private const int SoPeerCred = 17;

    /// <summary>The user this process runs as.</summary>
    public static uint OwnUid => GetEffectiveUid();

    /// <summary>Makes the path free: removes a socket that nobody serves any more.</summary>
    /// <exception cref="CliException">Something else is there, or another process serves it.</exception>
    public static void Free(string path)
    {
        // A link to a socket is none of ours to replace.
        if (!File.Exists(path) && new FileInfo(path).LinkTarget is null && !Directory.Exists(path))
        {
            return;
        }

        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused && IsSocket(path))
        {
            File.Delete(path);
            return;
        }
        catch (SocketException)
        {
            throw new CliException(ExitCodes.BadInput, $"{path} cannot be served", "something that is no socket is there, or it cannot be reached", "remove it, or give another --socket");
        }

        throw new CliException(ExitCodes.BadInput, $"{path} cannot be served", "another process serves it", "end that process, or give another --socket");
    }

    /// <summary>Binds and restricts the path before anybody can connect: until the socket listens, connecting is refused.</summary>
    public static Socket Bind(EndPoint endpoint, UnixFileMode mode)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(endpoint);
            File.SetUnixFileMode(endpoint.ToString()!, mode);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>The user of the process at the other end, as the kernel noted it when it connected.</summary>
    public static uint PeerUid(Socket socket)
    {
        // struct ucred: pid, uid, gid.
        Span<byte> credentials = stackalloc byte[12];
        socket.GetRawSocketOption(SolSocket, SoPeerCred, credentials);
        return MemoryMarshal.Read<uint>(credentials[4..]);
    }

    // A socket has no length. What else has none and is no link, holds nothing to lose.
    private static bool IsSocket(string path) => new FileInfo(path) is { LinkTarget: null, Length: 0 };

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUid();
}
