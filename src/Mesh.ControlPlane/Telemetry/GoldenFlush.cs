namespace Mesh.ControlPlane.Telemetry;

/// <summary>Moves what was counted into the store's file every 10 s.</summary>
internal sealed partial class GoldenFlush(GoldenStore store, TimeProvider time, ILogger<GoldenFlush> logger) : BackgroundService
{
    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            using var timer = new PeriodicTimer(Slots.Fine, time);
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                store.Flush();
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The store flushes once more when it is disposed.
        }
        catch (Exception e)
        {
            Log.FlushDied(logger, e);
            throw;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4710, LogLevel.Critical, "The keeping of measurements died: nothing is kept any more. Restart the control plane and report this", EventName = nameof(FlushDied))]
        public static partial void FlushDied(ILogger logger, Exception exception);
    }
}
