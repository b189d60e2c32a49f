using Microsoft.Extensions.Logging;

namespace Mesh.Server;

internal sealed partial class MeshMiddleware
{
    private static partial class Log
    {
        [LoggerMessage(3420, LogLevel.Warning, "A request on {Address} was answered 503, this workload is not ready: {Missing}", EventName = nameof(NotReady))]
        public static partial void NotReady(ILogger logger, string address, string missing);

        [LoggerMessage(3421, LogLevel.Debug, "A plaintext request was refused: {Address} takes mesh TLS only. Only probe paths (Mesh:Server:ProbePaths) are answered in plaintext", EventName = nameof(PlaintextRefused))]
        public static partial void PlaintextRefused(ILogger logger, string address);
    }
}
