using Microsoft.Extensions.Logging;

namespace Mesh.Export;

internal sealed partial class OtlpMetricsExporter
{
    private static partial class Log
    {
        [LoggerMessage(3200, LogLevel.Warning, "Measurements could not be sent to the control plane ({Problem}); they are kept and sent later", EventName = nameof(ExportFailed))]
        public static partial void ExportFailed(ILogger logger, string problem);

        [LoggerMessage(3201, LogLevel.Information, "Measurements reach the control plane again", EventName = nameof(ExportRecovered))]
        public static partial void ExportRecovered(ILogger logger);

        [LoggerMessage(3202, LogLevel.Warning, "Measurements of {Series} series were dropped: the control plane took none for {LongestKept}", EventName = nameof(MeasurementsDropped))]
        public static partial void MeasurementsDropped(ILogger logger, int series, TimeSpan longestKept);

        [LoggerMessage(3203, LogLevel.Warning, "The control plane rejected {Points} data points: {Reason}", EventName = nameof(PointsRejected))]
        public static partial void PointsRejected(ILogger logger, long points, string reason);

        [LoggerMessage(3204, LogLevel.Critical, "The sending of measurements died: this workload disappears from the mesh's numbers. Restart it and report this", EventName = nameof(ExportDied))]
        public static partial void ExportDied(ILogger logger, Exception exception);

        [LoggerMessage(3205, LogLevel.Error, "A gauge could not be read: it is missing in what is sent. Report this", EventName = nameof(GaugesFail))]
        public static partial void GaugesFail(ILogger logger, Exception exception);
    }
}
