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

        [LoggerMessage(3422, LogLevel.Debug, "A request's deadline was ignored, '{Header}'. Valid are at most one day, as grpc-timeout (100m), x-envoy-expected-rq-timeout-ms (100) or request-timeout (0.1)", EventName = nameof(DeadlineIgnored))]
        public static partial void DeadlineIgnored(ILogger logger, string header);

        [LoggerMessage(3423, LogLevel.Debug, "The app ended with an exception after the deadline of its request was over", EventName = nameof(DeadlineOver))]
        public static partial void DeadlineOver(ILogger logger, Exception exception);

        [LoggerMessage(3424, LogLevel.Warning, "Requests over HTTP/3 to port {Port} are answered 421: they do not come through the mesh, so no policy would hold. Turn HTTP/3 off there, or exclude the port (Mesh:Server:ExcludedPorts)", EventName = nameof(Http3Refused))]
        public static partial void Http3Refused(ILogger logger, int port);

        [LoggerMessage(3500, LogLevel.Information, "{Count} requests were answered 429 since the last such line: rate limit '{Limit}'. The last came from {Caller}", EventName = nameof(RateLimited))]
        public static partial void RateLimited(ILogger logger, long count, string limit, string caller);

        [LoggerMessage(3501, LogLevel.Warning, "{Count} requests were answered 503 since the last such line: as many are in the app and wait as may ({Reason}). The last came from {Caller}. Add replicas, or raise the limit of the ConcurrencyPolicy or of Mesh:Server:MaxConcurrentRequests", EventName = nameof(Shed))]
        public static partial void Shed(ILogger logger, long count, string reason, string caller);
    }
}
