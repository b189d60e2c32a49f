using System.Net.Sockets;
using Mesh.Outbound;

namespace Mesh.Testing.Simulation;

/// <summary>The connections of one caller to one endpoint: what SocketsHttpHandler is in a program.</summary>
/// <remarks>A request waits for a connection that has room; one is made when there is none. A connection is made to its end even when nobody waits for it any more.</remarks>
internal sealed class SimulatedConnections(SimulatedNetwork network, string zone, string hostPort, TimeSpan connectTimeout, Action connected) : HttpMessageHandler
{
    private readonly List<SimulatedConnection> _open = [];
    private readonly LinkedList<SimulatedExchange> _waiting = new();
    private int _connecting;
    private bool _disposed;

    public SimulatedNetwork Network => network;

    public string Zone => zone;

    public TimeSpan OneWay() => network.Draw(zone, network.Find(hostPort)?.Zone);

    public void StopWaiting(LinkedListNode<SimulatedExchange> node)
    {
        _waiting.Remove(node);
        network.Waiting--;
    }

    /// <summary>A connection has room again, or is gone.</summary>
    public void Changed(SimulatedConnection connection)
    {
        if (connection.IsClosed)
        {
            _open.Remove(connection);
        }

        Assign();
    }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled<HttpResponseMessage>(cancellationToken);
        }

        var exchange = new SimulatedExchange(this, request, cancellationToken);
        exchange.Waits = _waiting.AddLast(exchange);
        network.Waiting++;
        Assign();
        return exchange.Response;
    }

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        foreach (var connection in _open.ToArray())
        {
            connection.CloseWhenIdle();
        }

        base.Dispose(disposing);
    }

    private void Assign()
    {
        var node = _waiting.First;
        while (node is not null)
        {
            var next = node.Next;
            if (FindRoom(node.Value.IsHttp2) is { } connection)
            {
                StopWaiting(node);
                node.Value.Waits = null;
                connection.Carry(node.Value);
            }

            node = next;
        }

        // HTTP/2: one connection for many; HTTP/1: one for each.
        var needed = 0;
        foreach (var waiting in _waiting)
        {
            needed += waiting.IsHttp2 ? 0 : 1;
        }

        needed += (_waiting.Count - needed + network.MaxStreams - 1) / network.MaxStreams;
        while (_connecting < needed)
        {
            Connect(_waiting.First!.Value.IsHttp2);
        }
    }

    private SimulatedConnection? FindRoom(bool http2)
    {
        foreach (var connection in _open)
        {
            if (connection.IsHttp2 == http2 && connection.HasRoom)
            {
                return connection;
            }
        }

        return null;
    }

    private void Connect(bool http2)
    {
        _connecting++;
        var server = network.Find(hostPort);
        var state = server?.State ?? SimulatedServerState.Refusing;
        if (state == SimulatedServerState.BlackHole)
        {
            network.World.Time.After(connectTimeout, () => ConnectFailed($"no answer within {connectTimeout.TotalSeconds:0.###} s", null));
            return;
        }

        // TCP takes one round trip, TLS 1.3 another.
        var handshake = OneWay() + OneWay();
        if (state != SimulatedServerState.Refusing)
        {
            handshake += OneWay() + OneWay();
        }

        network.World.Time.After(handshake, () =>
        {
            if (network.Find(hostPort) is { State: SimulatedServerState.Up } up)
            {
                Connected(up, http2);
            }
            else
            {
                ConnectFailed("Connection refused", new SocketException((int)SocketError.ConnectionRefused));
            }
        });
    }

    private void Connected(SimulatedServer server, bool http2)
    {
        _connecting--;
        network.OpenConnections++;
        network.ConnectionsMade++;
        var connection = new SimulatedConnection(this, server, http2);
        _open.Add(connection);
        server.Connected(connection);
        network.World.Trace.Add(TraceEvent.Connected, server.Port);
        connected();
        if (_disposed)
        {
            connection.CloseWhenIdle();
        }

        Assign();
    }

    private void ConnectFailed(string why, Exception? inner)
    {
        _connecting--;
        network.World.Trace.Add(TraceEvent.ConnectFailed, network.Find(hostPort)?.Port ?? 0, _waiting.Count);
        while (_waiting.First is { } node)
        {
            StopWaiting(node);
            node.Value.Waits = null;
            node.Value.Fail(new HttpRequestException(
                HttpRequestError.ConnectionError, null, new EndpointConnectException($"The endpoint {hostPort} could not be connected: {why}", inner)));
        }
    }
}
