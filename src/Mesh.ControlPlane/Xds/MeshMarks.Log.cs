namespace Mesh.ControlPlane.Xds;

internal sealed partial class MeshMarks
{
    private static partial class Log
    {
        [LoggerMessage(4520, LogLevel.Error, "Could not save which endpoints are meshed; the new ones stay unmeshed until it can, tried again every 5 s. Check that the data folder is writable.", EventName = nameof(MarksNotSaved))]
        public static partial void MarksNotSaved(ILogger logger, Exception exception);

        [LoggerMessage(4522, LogLevel.Information, "Forgot {Count} marks of addresses that were no endpoint for {Absence}", EventName = nameof(MarksForgotten))]
        public static partial void MarksForgotten(ILogger logger, int count, TimeSpan absence);

        [LoggerMessage(4521, LogLevel.Warning, "'{Identity}' serves more than {Most} addresses: '{HostPort}' is not marked as meshed", EventName = nameof(TooManyMarks))]
        public static partial void TooManyMarks(ILogger logger, string identity, int most, string hostPort);
    }
}
