namespace Mesh.ControlPlane.Sources.Kubernetes;

internal sealed partial class Informer<T>
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 4230, EventName = nameof(Listed), Level = LogLevel.Debug, Message = "Read all of {Kind}: {Objects} objects, version {Version}")]
        public static partial void Listed(ILogger logger, string kind, int objects, string version);

        [LoggerMessage(EventId = 4231, EventName = nameof(Expired), Level = LogLevel.Information, Message = "All of {Kind} is read again: {Reason}")]
        public static partial void Expired(ILogger logger, string kind, string reason);

        [LoggerMessage(EventId = 4232, EventName = nameof(Lost), Level = LogLevel.Warning,
            Message = "Changes of {Kind} can't be heard ({Reason}); what is known stays in force, next try in {Wait}")]
        public static partial void Lost(ILogger logger, string kind, string reason, TimeSpan wait);

        [LoggerMessage(EventId = 4234, EventName = nameof(TriedAgain), Level = LogLevel.Debug, Message = "Changes of {Kind} can't be heard ({Reason}); next try in {Wait}")]
        public static partial void TriedAgain(ILogger logger, string kind, string reason, TimeSpan wait);

        [LoggerMessage(EventId = 4235, EventName = nameof(Heard), Level = LogLevel.Information, Message = "Changes of {Kind} are heard again")]
        public static partial void Heard(ILogger logger, string kind);

        [LoggerMessage(EventId = 4233, EventName = nameof(Gone), Level = LogLevel.Information, Message = "The cluster does not have {Kind} any more")]
        public static partial void Gone(ILogger logger, string kind);
    }
}
