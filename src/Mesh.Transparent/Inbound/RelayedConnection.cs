using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using Mesh.Transparent.Forwarding;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Transparent.Inbound;

/// <summary>An accepted socket whose bytes are carried as they are, for those who judge connections: it can be told apart, and broken.</summary>
internal sealed class RelayedConnection(Socket socket, IPEndPoint local) : ConnectionContext
{
    private readonly CancellationTokenSource _closed = new();

    public override string ConnectionId { get; set; } = Guid.NewGuid().ToString("N");

    public override IFeatureCollection Features { get; } = new FeatureCollection();

    public override IDictionary<object, object?> Items { get; set; } = new Dictionary<object, object?>();

    public override IDuplexPipe Transport
    {
        get => throw new NotSupportedException("Its bytes are carried by the relay.");
        set => throw new NotSupportedException("Its bytes are carried by the relay.");
    }

    public override EndPoint? LocalEndPoint { get; set; } = local;

    public override EndPoint? RemoteEndPoint { get; set; } = socket.RemoteEndPoint;

    public override CancellationToken ConnectionClosed
    {
        get => _closed.Token;
        set => throw new NotSupportedException("It is closed by the relay.");
    }

    public override void Abort(ConnectionAbortedException abortReason) => RelayEnd.Of(socket, Stream.Null).Abort();

    /// <summary>The relay has ended.</summary>
    public override async ValueTask DisposeAsync()
    {
        await _closed.CancelAsync().ConfigureAwait(false);
        _closed.Dispose();
        await base.DisposeAsync().ConfigureAwait(false);
    }
}
