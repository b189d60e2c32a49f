using System.Net;
using System.Net.Sockets;
using Mesh.Server.Listening;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Listening;

/// <summary>Makes Kestrel's connections of accepted sockets. Thread-safe.</summary>
internal sealed class SocketConnections : IDisposable
{
    private readonly SocketConnectionContextFactory _factory;

    public SocketConnections(ILoggerFactory loggers) => _factory = new SocketConnectionContextFactory(
        // A continuation runs where the socket's event is seen: one wake-up less per read (docs/performance.md, "Sidecar").
        new SocketConnectionFactoryOptions { UnsafePreferInlineScheduling = true },
        loggers.CreateLogger<SocketConnectionContextFactory>());

    /// <param name="local">Where the connection was going: what is said of its local end.</param>
    /// <param name="ended">Ends when whoever serves the connection has closed it.</param>
    public HandedConnection Create(Socket socket, IPEndPoint local, out Task ended)
    {
        var connection = _factory.Create(socket);
        connection.LocalEndPoint = local;
        var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        ended = source.Task;
        return new HandedConnection(connection, _ => source.TrySetResult());
    }

    public void Dispose() => _factory.Dispose();
}
