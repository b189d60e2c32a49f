using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Admin;

internal sealed partial class AdminServer
{
    private static partial class Log
    {
        [LoggerMessage(5100, LogLevel.Information, "The admin port listens on {Addresses}", EventName = nameof(AdminListens))]
        public static partial void AdminListens(ILogger logger, string addresses);

        [LoggerMessage(5101, LogLevel.Warning, "Log filters are now {Filters}, as the admin port was asked", EventName = nameof(LogLevelChanged))]
        public static partial void LogLevelChanged(ILogger logger, string filters);

        [LoggerMessage(5102, LogLevel.Warning, "The drain begins, as the admin port was asked", EventName = nameof(DrainAsked))]
        public static partial void DrainAsked(ILogger logger);

        [LoggerMessage(5103, LogLevel.Error, "A request to the admin port failed: {Path}", EventName = nameof(RequestFailed))]
        public static partial void RequestFailed(ILogger logger, string path, Exception exception);
    }
}
