using Microsoft.Extensions.Logging;

namespace Mesh.Tap;

internal sealed partial class TapAttendance
{
    private static partial class Log
    {
        [LoggerMessage(3700, LogLevel.Debug, "The control plane does not serve mesh.tap.v1: requests of this workload cannot be watched from there. It is asked again after {Rest}", EventName = nameof(NotServed))]
        public static partial void NotServed(ILogger logger, TimeSpan rest);

        [LoggerMessage(3701, LogLevel.Debug, "The tap stream to the control plane ended ({Problem}); it is opened again after {Wait}", EventName = nameof(StreamEnded))]
        public static partial void StreamEnded(ILogger logger, string problem, TimeSpan wait);

        [LoggerMessage(3702, LogLevel.Information, "Somebody taps this workload's requests ({Id}), at most {MaxPerSecond} per second. Mesh:Tap=false forbids it", EventName = nameof(TapBegan))]
        public static partial void TapBegan(ILogger logger, string id, double maxPerSecond);

        [LoggerMessage(3703, LogLevel.Information, "The tap {Id} has ended", EventName = nameof(TapEnded))]
        public static partial void TapEnded(ILogger logger, string id);

        [LoggerMessage(3704, LogLevel.Debug, "The control plane asked for a tap that makes no sense, or is one too many; it was not begun", EventName = nameof(OrderRefused))]
        public static partial void OrderRefused(ILogger logger);

        [LoggerMessage(3705, LogLevel.Critical, "The tap stream died: this workload can't be watched, and reports no denials. Restart it and report this", EventName = nameof(AttendanceDied))]
        public static partial void AttendanceDied(ILogger logger, Exception exception);
    }
}
