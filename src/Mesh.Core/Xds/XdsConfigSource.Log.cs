using Microsoft.Extensions.Logging;

namespace Mesh.Xds;

/// <content>Log lines.</content>
internal sealed partial class XdsConfigSource
{
    private static partial class Log
    {
        [LoggerMessage(1050, LogLevel.Debug, "Published a snapshot of {Listeners} listeners and {Clusters} clusters", EventName = nameof(Published))]
        public static partial void Published(ILogger logger, int listeners, int clusters);
    }
}
