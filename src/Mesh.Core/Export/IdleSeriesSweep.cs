using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Export;

/// <summary>Lets idle series go where nothing is sent to a control plane: there nobody else collects, and series would stay for ever. In place of <see cref="OtlpMetricsExporter"/>, never beside it.</summary>
internal sealed partial class IdleSeriesSweep(SeriesCollector collector, TimeProvider time, ILogger<IdleSeriesSweep> logger) : IAsyncDisposable
{
    /// <summary>So much later than its time a series goes at most.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromMinutes(1);

    private readonly PeriodicTimer _timer = new(Period, time);
    private Task _running = Task.CompletedTask;

    /// <summary>Starts the loop; never waits.</summary>
    public void Start()
    {
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(RunAsync);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _running.ConfigureAwait(false);
    }

    private async Task RunAsync()
    {
        try
        {
            while (await _timer.WaitForNextTickAsync().ConfigureAwait(false))
            {
                collector.Look(time.GetUtcNow());
            }
        }
        catch (Exception e)
        {
            Log.SweepDied(logger, e);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(3206, LogLevel.Critical, "Idle series are let go no more: /metrics keeps what it shows now. Restart this workload and report this", EventName = nameof(SweepDied))]
        public static partial void SweepDied(ILogger logger, Exception exception);
    }
}
