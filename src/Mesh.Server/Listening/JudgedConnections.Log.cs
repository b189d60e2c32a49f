using Microsoft.Extensions.Logging;

namespace Mesh.Server.Listening;

internal sealed partial class JudgedConnections
{
    private static partial class Log
    {
        [LoggerMessage(3402, LogLevel.Information, "{Count} connections to {Address} were closed for the same reason since the last such line. The last, from {Caller}, was {Decision}", EventName = nameof(ConnectionRefused))]
        public static partial void ConnectionRefused(ILogger logger, long count, string address, string caller, string decision);

        [LoggerMessage(3403, LogLevel.Information, "Connection {ConnectionId} to {Address} was closed: a change of policy took the right of {Caller}, now {Decision}", EventName = nameof(ConnectionRevoked))]
        public static partial void ConnectionRevoked(ILogger logger, string connectionId, string address, string caller, string decision);

        [LoggerMessage(3404, LogLevel.Information, "{Count} connections to {Address} were closed since the last such line, the last is {ConnectionId}: they are not mesh TLS and began with no HTTP request, so nobody could judge them. Give the port protocol Opaque in a ServerPolicy if it does not speak HTTP", EventName = nameof(ConnectionClosed))]
        public static partial void ConnectionClosed(ILogger logger, long count, string address, string connectionId);
    }
}
