using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;

namespace Mesh.Server.Listening;

/// <summary>An endpoint without a socket: it is handed connections that a real endpoint accepted.</summary>
/// <param name="name">For logs.</param>
internal sealed class VirtualEndPoint(string name) : EndPoint
{
    public override string ToString() => name;
}

/// <summary>The listener of the virtual endpoint, and the factory that gives it to the second Kestrel. Thread-safe.</summary>
/// <param name="name">Of the endpoint, for logs.</param>
internal sealed class VirtualListener(string name = "mesh-tls") : IConnectionListenerFactory, IConnectionListener
{
    private readonly Channel<ConnectionContext> _handed = Channel.CreateUnbounded<ConnectionContext>(new UnboundedChannelOptions { SingleReader = true });

    public EndPoint EndPoint { get; } = new VirtualEndPoint(name);

    /// <summary>False when the server has stopped: the connection stays the caller's.</summary>
    public bool Offer(ConnectionContext connection) => _handed.Writer.TryWrite(connection);

    public ValueTask<IConnectionListener> BindAsync(EndPoint endpoint, CancellationToken cancellationToken = default) => new(this);

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _handed.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_handed.Reader.TryRead(out var connection))
            {
                return connection;
            }
        }

        return null;
    }

    public ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        _handed.Writer.TryComplete();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        _handed.Writer.TryComplete();
        while (_handed.Reader.TryRead(out var connection))
        {
            connection.Abort();
            await connection.DisposeAsync().ConfigureAwait(false);
        }
    }
}
