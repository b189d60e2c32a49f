using System.Net;
using System.Net.Sockets;
using Mesh.Outbound;

namespace Mesh.Transparent.Forwarding;

/// <summary>A connection that was made to carry a client's bytes. One owner.</summary>
internal sealed class RelayTarget(RelayEnd end, Func<bool, ValueTask> finish, bool isMesh = false)
{
    /// <summary>Linkerd's outbound connect timeout.</summary>
    private static readonly TimeSpan _connectTimeout = TimeSpan.FromSeconds(1);

    public RelayEnd End => end;

    /// <summary>Over mesh TLS.</summary>
    public bool IsMesh => isMesh;

    /// <param name="failed">It broke before either side had ended it.</param>
    public ValueTask CloseAsync(bool failed) => finish(failed);

    public static RelayTarget Of(OpaqueConnection connection) => new(RelayEnd.Of(connection.Stream), connection.EndAsync, connection.Endpoint.IsMesh);

    /// <summary>A plain connection to an address.</summary>
    /// <exception cref="SocketException">It was refused.</exception>
    /// <exception cref="TimeoutException">Nobody answered.</exception>
    public static async ValueTask<RelayTarget> DialAsync(IPEndPoint address, TimeProvider time, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            using var timed = new CancellationTokenSource(_connectTimeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
            await socket.ConnectAsync(address, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new TimeoutException($"{address} did not answer within {_connectTimeout.TotalSeconds:0.#} s.");
        }
        catch
        {
            socket.Dispose();
            throw;
        }

        var stream = new NetworkStream(socket, ownsSocket: true);
        return new RelayTarget(RelayEnd.Of(socket, stream), _ => stream.DisposeAsync());
    }
}
