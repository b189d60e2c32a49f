using System.Net.Sockets;
using Mesh.Identity;
using Mesh.Spiffe;

namespace Mesh.Outbound;

/// <summary>The socket of a connection to an endpoint: gives back its place among those of its cluster, and is watched no more, when it is closed, by whomever.</summary>
internal sealed class EndpointStream(Socket socket, ConnectionPermit? permit = null) : NetworkStream(socket, ownsSocket: true)
{
    private IDisposable? _watch;
    private Action? _onClosed;
    private volatile bool _closed;

    /// <summary>Calls once, when it is closed.</summary>
    public void WhenClosed(Action onClosed)
    {
        _onClosed = onClosed;
        if (_closed)
        {
            TellClosed();
        }
    }

    /// <summary>Ends it when its peer is no longer believed, or one of the certificates is over.</summary>
    /// <param name="onClosed">Told the reason when that happens.</param>
    public void Watch(LiveConnections live, WorkloadIdentity identity, Peer peer, Action<string>? onClosed)
    {
        _watch = live.Add(new Outbound(Socket, identity, peer, permit, onClosed));
        if (_closed)
        {
            _watch.Dispose();
        }
    }

    /// <summary>We send no more (FIN); what the peer still sends is read.</summary>
    public void ShutdownSend() => Socket.Shutdown(SocketShutdown.Send);

    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        _closed = true;
        _watch?.Dispose();
        permit?.Dispose();
        TellClosed();
    }

    private void TellClosed() => Interlocked.Exchange(ref _onClosed, null)?.Invoke();

    private sealed class Outbound(Socket socket, WorkloadIdentity identity, Peer peer, ConnectionPermit? permit, Action<string>? onClosed) : LiveConnection(identity, peer)
    {
        public override void Drain()
        {
            // The next call of the endpoint goes to new connections, and these close when their last call has ended.
            permit?.Outdate();
        }

        public override void Close(string reason, string problem)
        {
            onClosed?.Invoke(reason);
            // What reads and writes on it sees it broken and cleans up.
            socket.Dispose();
        }
    }
}
