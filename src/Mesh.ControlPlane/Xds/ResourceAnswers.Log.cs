namespace Mesh.ControlPlane.Xds;

internal sealed partial class ResourceAnswers
{
    private static partial class Log
    {
        [LoggerMessage(4500, LogLevel.Error, "Resource '{Name}' ({TypeUrl}) for node '{Node}' is not sent, our own check refused it: {Problems}. The last good one stays: {KeepsLastGood}. Please report this.", EventName = nameof(InvalidResource))]
        public static partial void InvalidResource(ILogger logger, string typeUrl, string name, string node, string problems, bool keepsLastGood);

        [LoggerMessage(4501, LogLevel.Debug, "No resource '{Name}' ({TypeUrl}) for node '{Node}': {Reason}", EventName = nameof(NoSuchResource))]
        public static partial void NoSuchResource(ILogger logger, string typeUrl, string name, string node, string reason);
    }
}
