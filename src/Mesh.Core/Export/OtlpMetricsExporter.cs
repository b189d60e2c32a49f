using Grpc.Core;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Export;

/// <summary>Sends what was measured to the control plane every interval; what could not be sent is merged into the next try.</summary>
/// <remarks>All state is owned by the one loop. After <see cref="LongestKept"/> without success the oldest measurements would lie about when they happened: they are dropped, and that is said.</remarks>
/// <param name="connect">Gives the connection to the control plane.</param>
internal sealed partial class OtlpMetricsExporter(
    MetricAggregate aggregate,
    Resource resource,
    Func<CancellationToken, ValueTask<CallInvoker>> connect,
    TimeSpan interval,
    TimeProvider time,
    ILogger<OtlpMetricsExporter> logger) : IAsyncDisposable
{
    /// <summary>How long unsent measurements are kept.</summary>
    public static readonly TimeSpan LongestKept = TimeSpan.FromMinutes(10);

    /// <summary>Most series in one message, so that it stays far below gRPC's 4 MB.</summary>
    public const int MaxSeriesPerMessage = 500;

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private readonly Dictionary<MetricSeries, PendingSeries> _pending = [];
    private readonly CancellationTokenSource _stop = new();
    private DateTimeOffset _collectedAt = time.GetUtcNow();
    private Task _running = Task.CompletedTask;
    private bool _failing;
    private int _stopped;

    /// <summary>Starts the loop; never waits.</summary>
    public void Start()
    {
        var timer = new PeriodicTimer(interval, time);
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(timer, _stop.Token));
        }
    }

    /// <summary>Ends the loop and sends what is left, for at most <paramref name="flush"/>.</summary>
    public async Task StopAsync(TimeSpan flush)
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        Collect();
        await SendAsync(flush, CancellationToken.None).ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await StopAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);

    private async Task RunAsync(PeriodicTimer timer, CancellationToken cancellationToken)
    {
        try
        {
            using var owned = timer;
            while (await owned.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                Collect();
                await SendAsync(Deadline, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Stopped.
        }
        catch (Exception e)
        {
            Log.ExportDied(logger, e);
        }
    }

    private void Collect()
    {
        var now = time.GetUtcNow();
        foreach (var series in aggregate.Series)
        {
            if (series.Durations.Collect() is not { } delta)
            {
                continue;
            }

            if (!_pending.TryGetValue(series, out var pending))
            {
                pending = new PendingSeries(series, _collectedAt, delta.Counts.Count);
                _pending.Add(series, pending);
            }

            pending.Add(delta, now);
        }

        _collectedAt = now;
    }

    private async Task SendAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        if (_pending.Count == 0)
        {
            return;
        }

        using var timeout = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var client = new MetricsService.MetricsServiceClient(await connect(both.Token).ConfigureAwait(false));
            foreach (var part in _pending.Values.Chunk(MaxSeriesPerMessage))
            {
                var answer = await client.ExportAsync(OtlpRequest.From(resource, part), cancellationToken: both.Token).ResponseAsync.ConfigureAwait(false);
                foreach (var sent in part)
                {
                    _pending.Remove(sent.Series);
                }

                if (answer.PartialSuccess is { RejectedDataPoints: > 0 } partial)
                {
                    Log.PointsRejected(logger, partial.RejectedDataPoints, partial.ErrorMessage);
                }
            }

            if (_failing)
            {
                _failing = false;
                Log.ExportRecovered(logger);
            }
        }
        catch (Exception e)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                // The flush at stop tries once more.
                return;
            }

            if (!_failing)
            {
                _failing = true;
                Log.ExportFailed(logger, e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : timeout.IsCancellationRequested ? $"no answer within {deadline.TotalSeconds:0} s" : e.Message);
            }

            DropOld();
        }
    }

    private void DropOld()
    {
        var oldest = time.GetUtcNow() - LongestKept;
        var dropped = 0;
        foreach (var pending in _pending.Values.Where(p => p.Start < oldest).ToList())
        {
            _pending.Remove(pending.Series);
            dropped++;
        }

        if (dropped > 0)
        {
            Log.MeasurementsDropped(logger, dropped, LongestKept);
        }
    }
}
