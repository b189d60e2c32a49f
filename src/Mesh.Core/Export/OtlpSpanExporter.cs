using Grpc.Core;
using Mesh.Concurrency;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Export;

/// <summary>Sends spans to the control plane in batches; calls never wait for it. While it can't, spans wait in their queue, and of those too many the oldest are dropped.</summary>
/// <remarks>All state is owned by the one loop.</remarks>
/// <param name="connect">Gives the connection to the control plane.</param>
internal sealed partial class OtlpSpanExporter(
    SpanRecorder recorder, Resource resource, Func<CancellationToken, ValueTask<CallInvoker>> connect, TimeProvider time, Random random, ILogger<OtlpSpanExporter> logger) : IAsyncDisposable
{
    /// <summary>Spans in one message: at most a few 100 kB.</summary>
    public const int MaxBatch = 500;

    /// <summary>How often it looks: what is traced is seen soon.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private readonly List<FinishedSpan> _batch = [];
    private readonly Backoff _backoff = new(random, max: TimeSpan.FromSeconds(30));
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private DateTimeOffset _next = DateTimeOffset.MinValue;
    private bool _failing;
    private bool _unsupported;
    private int _stopped;

    /// <summary>Starts the loop; never waits. Does nothing while nothing is recorded.</summary>
    public void Start()
    {
        if (!recorder.IsOn)
        {
            return;
        }

        var timer = new PeriodicTimer(Interval, time);
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
                if (time.GetUtcNow() >= _next)
                {
                    await SendAsync(Deadline, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Stopped.
        }
        catch (Exception e)
        {
            Log.SpanExportDied(logger, e);
        }
    }

    private async Task SendAsync(TimeSpan deadline, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            while (Fill())
            {
                var client = new TraceService.TraceServiceClient(await connect(both.Token).ConfigureAwait(false));
                var answer = await client.ExportAsync(SpanMessages.Request(resource, _batch), cancellationToken: both.Token).ResponseAsync.ConfigureAwait(false);
                _batch.Clear();
                if (answer.PartialSuccess is { RejectedSpans: > 0 } partial)
                {
                    recorder.Drop(partial.RejectedSpans, "refused");
                    Log.SpansRejected(logger, partial.RejectedSpans, partial.ErrorMessage);
                }

                if (_failing)
                {
                    _failing = false;
                    _backoff.Reset();
                    Log.SpanExportRecovered(logger);
                }
            }
        }
        catch (RpcException e) when (e.StatusCode is StatusCode.Unimplemented or StatusCode.InvalidArgument or StatusCode.ResourceExhausted)
        {
            // Sending the same again would end the same.
            recorder.Drop(_batch.Count, e.StatusCode == StatusCode.Unimplemented ? "unsupported" : "refused");
            _batch.Clear();
            _next = time.GetUtcNow() + _backoff.Next();
            if (!_unsupported)
            {
                _unsupported = true;
                Log.SpansNotTaken(logger, e.Status.Detail);
            }
        }
        catch (Exception e)
        {
            if (cancellationToken.IsCancellationRequested)
            {
                // The flush at stop tries once more.
                return;
            }

            _next = time.GetUtcNow() + _backoff.Next();
            if (!_failing)
            {
                _failing = true;
                Log.SpanExportFailed(logger, e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : timeout.IsCancellationRequested ? $"no answer within {deadline.TotalSeconds:0} s" : e.Message);
            }
        }
    }

    /// <summary>What could not be sent comes first. False when there is nothing.</summary>
    private bool Fill()
    {
        while (_batch.Count < MaxBatch && recorder.Waiting.TryRead(out var span))
        {
            _batch.Add(span);
        }

        return _batch.Count > 0;
    }
}
