using System.Net.Security;
using System.Net.Sockets;
using Mesh.Outbound;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Mesh.Transparent.Forwarding;

/// <summary>One end of a relay: bytes both ways, and the end of each way by itself (half-close).</summary>
/// <param name="stream">Read and written.</param>
/// <param name="finish">Says that no more bytes come, and leaves the other way open.</param>
/// <param name="abort">Breaks it, so that the peer sees that it did not end well.</param>
internal sealed class RelayEnd(Stream stream, Func<Task> finish, Action abort)
{
    public Stream Stream => stream;

    public Task FinishAsync() => finish();

    public void Abort() => abort();

    /// <summary>A socket of ours, plain.</summary>
    public static RelayEnd Of(Socket socket, Stream stream) => new(stream, () => Shutdown(socket), () => Reset(socket));

    /// <summary>A connection to an endpoint; TLS ends by its own word (RFC 8446 §6.1), which leaves the other way open.</summary>
    public static RelayEnd Of(Stream endpoint) => endpoint switch
    {
        SslStream tls => new(tls, tls.ShutdownAsync, tls.Dispose),
        EndpointStream plain => new(plain, () => Finish(plain), plain.Dispose),
        _ => throw new ArgumentException($"A {endpoint.GetType().Name} can't end one way alone.", nameof(endpoint)),
    };

    /// <summary>A connection whose mesh TLS ended here; nothing of it was read.</summary>
    public static RelayEnd Of(ConnectionContext terminated)
    {
        var tls = terminated.Features.Get<ISslStreamFeature>()!.SslStream;
        return new(tls, tls.ShutdownAsync, terminated.Abort);
    }

    private static Task Shutdown(Socket socket)
    {
        try
        {
            socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer went first.
        }

        return Task.CompletedTask;
    }

    private static Task Finish(EndpointStream stream)
    {
        try
        {
            stream.ShutdownSend();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The peer went first.
        }

        return Task.CompletedTask;
    }

    // RST: half a stream must not look whole.
    private static void Reset(Socket socket)
    {
        try
        {
            socket.LingerState = new LingerOption(true, 0);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Closed already.
        }

        socket.Dispose();
    }
}
