using Microsoft.Extensions.Logging;

namespace Mesh.Server.Listening;

internal sealed partial class SniffingListener
{
    private static partial class Log
    {
        [LoggerMessage(3400, LogLevel.Debug, "Connection {ConnectionId} ended before it could be served: {Reason}", EventName = nameof(ConnectionDropped))]
        public static partial void ConnectionDropped(ILogger logger, string connectionId, string reason);
    }
}
