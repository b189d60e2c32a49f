using Mesh.Hosting;
using Microsoft.Extensions.Logging;

namespace Mesh.Xds;

/// <content>Log lines.</content>
internal sealed partial class XdsClient
{
    private static partial class Log
    {
        [LoggerMessage(1000, LogLevel.Information, "ADS stream opened by node '{NodeId}' ({Variant})", EventName = nameof(StreamOpened))]
        public static partial void StreamOpened(ILogger logger, string nodeId, AdsVariant variant);

        [LoggerMessage(1001, LogLevel.Information, "ADS stream of node '{NodeId}' ended: {Reason}. The configuration held stays in force; next try in {Wait}", EventName = nameof(StreamEnded))]
        public static partial void StreamEnded(ILogger logger, string nodeId, string reason, TimeSpan wait);

        [LoggerMessage(1002, LogLevel.Warning, "ADS stream of node '{NodeId}' failed before any answer: {Reason}. The configuration held stays in force; next try in {Wait}", EventName = nameof(StreamFailed))]
        public static partial void StreamFailed(ILogger logger, string nodeId, string reason, TimeSpan wait);

        [LoggerMessage(1003, LogLevel.Debug, "Accepted {TypeUrl} version '{Version}' with {Count} resources", EventName = nameof(Accepted))]
        public static partial void Accepted(ILogger logger, string typeUrl, string version, int count);

        [LoggerMessage(1004, LogLevel.Warning, "Refused (NACK) {TypeUrl} version '{Version}' as node '{NodeId}', the last good stays in force: {Problems}", EventName = nameof(Refused))]
        public static partial void Refused(ILogger logger, string typeUrl, string version, string nodeId, string problems);

        [LoggerMessage(1005, LogLevel.Warning, "The control plane sent {TypeUrl}, which node '{NodeId}' never asked for; ignored", EventName = nameof(UnknownType))]
        public static partial void UnknownType(ILogger logger, string typeUrl, string nodeId);

        [LoggerMessage(1006, LogLevel.Information, "{TypeUrl} '{Name}' does not exist: {Reason}", EventName = nameof(DoesNotExist))]
        public static partial void DoesNotExist(ILogger logger, string typeUrl, string name, string reason);

        [LoggerMessage(1007, LogLevel.Warning, "{TypeUrl} '{Name}' could not be had: {Reason}", EventName = nameof(ResourceError))]
        public static partial void ResourceError(ILogger logger, string typeUrl, string name, string reason);

        [LoggerMessage(1008, LogLevel.Error, "A step of the xDS client failed; the configuration held stays in force", EventName = nameof(LoopFailed))]
        public static partial void LoopFailed(ILogger logger, Exception exception);
    }
}
