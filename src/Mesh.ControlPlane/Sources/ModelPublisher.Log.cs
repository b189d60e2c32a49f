namespace Mesh.ControlPlane.Sources;

internal sealed partial class ModelPublisher
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 4201, EventName = nameof(ManifestProblem), Level = LogLevel.Warning, Message = "{Where}: {What}")]
        public static partial void ManifestProblem(ILogger logger, string where, string what);

        [LoggerMessage(EventId = 4205, EventName = nameof(AuthorizationNotHeld), Level = LogLevel.Error,
            Message = "{Policy} at {Where} can't be held: {What}")]
        public static partial void AuthorizationNotHeld(ILogger logger, string policy, string where, string what);
    }
}
