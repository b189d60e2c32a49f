using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

internal sealed partial class HealthLoop
{
    private static partial class Log
    {
        [LoggerMessage(2320, LogLevel.Warning, "Endpoint {Endpoint} of cluster '{Cluster}' sits out until its health check is good again: {Detail}", EventName = nameof(ProbeFailed))]
        public static partial void ProbeFailed(ILogger logger, string endpoint, string cluster, string detail);

        [LoggerMessage(2321, LogLevel.Information, "Endpoint {Endpoint} of cluster '{Cluster}' is back: {Detail}", EventName = nameof(ProbeGood))]
        public static partial void ProbeGood(ILogger logger, string endpoint, string cluster, string detail);

        [LoggerMessage(2322, LogLevel.Critical, "Health checks of cluster '{Cluster}' have ended by a fault of their own; its endpoints count as healthy", EventName = nameof(LoopDied))]
        public static partial void LoopDied(ILogger logger, Exception e, string cluster);
    }
}
