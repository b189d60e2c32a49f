namespace Mesh.ControlPlane.Xds;

internal abstract partial class AdsSession<TRequest, TResponse>
{
    private static partial class Log
    {
        [LoggerMessage(4510, LogLevel.Information, "Node '{Node}' connected as '{Identity}' from {Address} ({Variant})", EventName = nameof(Connected))]
        public static partial void Connected(ILogger logger, string node, string identity, string address, string variant);

        [LoggerMessage(4511, LogLevel.Warning, "Node '{Node}' refused {TypeUrl} version '{Version}': {Problem}", EventName = nameof(Nack))]
        public static partial void Nack(ILogger logger, string node, string typeUrl, string version, string problem);
    }
}
