using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

internal sealed partial class LiveConnections
{
    private static partial class Log
    {
        [LoggerMessage(3020, LogLevel.Information, "The connection with '{Peer}' was closed: {Problem}", EventName = nameof(Closed))]
        public static partial void Closed(ILogger logger, string peer, string problem);
    }
}
