using Microsoft.Extensions.Logging;

namespace Mesh.Balancing;

internal sealed partial class ClusterBalancer
{
    private static partial class Log
    {
        [LoggerMessage(2000, LogLevel.Warning, "Endpoint {Endpoint} of cluster '{Cluster}' sits out for {Seconds:0.#} s by {Algorithm}: {Numbers}", EventName = nameof(EndpointEjected))]
        public static partial void EndpointEjected(ILogger logger, string endpoint, string cluster, double seconds, string algorithm, string numbers);
    }
}
