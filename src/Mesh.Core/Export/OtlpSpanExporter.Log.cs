using Microsoft.Extensions.Logging;

namespace Mesh.Export;

internal sealed partial class OtlpSpanExporter
{
    private static partial class Log
    {
        [LoggerMessage(3210, LogLevel.Warning, "Spans could not be sent to the control plane ({Problem}); the latest are kept and sent later", EventName = nameof(SpanExportFailed))]
        public static partial void SpanExportFailed(ILogger logger, string problem);

        [LoggerMessage(3211, LogLevel.Information, "Spans reach the control plane again", EventName = nameof(SpanExportRecovered))]
        public static partial void SpanExportRecovered(ILogger logger);

        [LoggerMessage(3212, LogLevel.Warning, "The control plane rejected {Spans} spans: {Reason}", EventName = nameof(SpansRejected))]
        public static partial void SpansRejected(ILogger logger, long spans, string reason);

        [LoggerMessage(3213, LogLevel.Warning, "The control plane takes no spans ({Reason}); they are dropped. Set Mesh:Traces:Enabled to false to have none recorded", EventName = nameof(SpansNotTaken))]
        public static partial void SpansNotTaken(ILogger logger, string reason);

        [LoggerMessage(3214, LogLevel.Critical, "The sending of spans died: this workload disappears from the mesh's traces. Restart it and report this", EventName = nameof(SpanExportDied))]
        public static partial void SpanExportDied(ILogger logger, Exception exception);
    }
}
