using Microsoft.Extensions.Logging;

namespace Mesh.Balancing;

internal sealed partial class ClusterBalancer
{
    private static partial class Log
    {
        [LoggerMessage(2000, LogLevel.Warning, "Endpoint {Endpoint} of cluster '{Cluster}' sits out for {Seconds:0.#} s by {Algorithm}: {Numbers}", EventName = nameof(EndpointEjected))]
        public static partial void EndpointEjected(ILogger logger, string endpoint, string cluster, double seconds, string algorithm, string numbers);

        [LoggerMessage(2300, LogLevel.Warning, "Cluster '{Cluster}' has too few healthy endpoints: all that do not ask for less calls are used", EventName = nameof(Panics))]
        public static partial void Panics(ILogger logger, string cluster);

        [LoggerMessage(2301, LogLevel.Information, "Cluster '{Cluster}' has enough healthy endpoints again", EventName = nameof(PanicEnded))]
        public static partial void PanicEnded(ILogger logger, string cluster);

        [LoggerMessage(2302, LogLevel.Information, "The first priority of cluster '{Cluster}' cannot take all calls: the next ones help", EventName = nameof(FailsOver))]
        public static partial void FailsOver(ILogger logger, string cluster);

        [LoggerMessage(2303, LogLevel.Information, "The nearest endpoints of cluster '{Cluster}' cannot take all calls: others help", EventName = nameof(LeavesNear))]
        public static partial void LeavesNear(ILogger logger, string cluster);
    }
}
