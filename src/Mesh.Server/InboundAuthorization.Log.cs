using Mesh.Policy;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

internal sealed partial class InboundAuthorization
{
    private static partial class Log
    {
        [LoggerMessage(3520, LogLevel.Information, "{Count} requests were answered 403 for the same reason since the last such line. The last, {Method} {Path} from {Caller}, was {Decision}", EventName = nameof(Denied))]
        public static partial void Denied(ILogger logger, long count, string method, string path, string caller, PolicyExplanation decision);

        [LoggerMessage(3521, LogLevel.Information, "{Count} requests would be answered 403 for the same reason if the audited policies were enforced, counted since the last such line. The last, {Method} {Path} from {Caller}, would be {Decision}", EventName = nameof(WouldBeDenied))]
        public static partial void WouldBeDenied(ILogger logger, long count, string method, string path, string caller, PolicyExplanation decision);
    }
}
