namespace Mesh.ControlPlane.Sources.Files;

internal sealed partial class FileSource
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 4200, EventName = nameof(ManifestsRead), Level = LogLevel.Information,
            Message = "Read {Files} files below {Folder}: {Services} services, {Routes} routes, {Problems} problems")]
        public static partial void ManifestsRead(ILogger logger, int files, string folder, int services, int routes, int problems);

        [LoggerMessage(EventId = 4202, EventName = nameof(FolderUnreadable), Level = LogLevel.Warning,
            Message = "Folder {Folder} cannot be read; what was last read stays in force")]
        public static partial void FolderUnreadable(ILogger logger, Exception exception, string folder);

        [LoggerMessage(EventId = 4203, EventName = nameof(WatcherLost), Level = LogLevel.Warning,
            Message = "The file system no longer tells of changes below {Folder}; they are found by looking every {Interval}")]
        public static partial void WatcherLost(ILogger logger, Exception exception, string folder, TimeSpan interval);

        [LoggerMessage(EventId = 4204, EventName = nameof(StepFailed), Level = LogLevel.Error,
            Message = "Reading the manifests failed unexpectedly; what was last read stays in force")]
        public static partial void StepFailed(ILogger logger, Exception exception);
    }
}
