using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

internal sealed partial class LoadStreams
{
    private static partial class Log
    {
        [LoggerMessage(2323, LogLevel.Warning, "Endpoint {Endpoint} of cluster '{Cluster}' does not report its load (UNIMPLEMENTED by xds.service.orca.v3.OpenRcaService): it counts as the average of the others. Serve the service there, or turn out-of-band reports off", EventName = nameof(NotReported))]
        public static partial void NotReported(ILogger logger, string endpoint, string cluster);

        [LoggerMessage(2324, LogLevel.Debug, "The stream of load reports of endpoint {Endpoint} ended: {Why}", EventName = nameof(StreamEnded))]
        public static partial void StreamEnded(ILogger logger, string endpoint, string why);

        [LoggerMessage(2325, LogLevel.Critical, "Load reports of endpoint {Endpoint} have ended by a fault of our own", EventName = nameof(StreamDied))]
        public static partial void StreamDied(ILogger logger, Exception e, string endpoint);
    }
}
