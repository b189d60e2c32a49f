using Grpc.Core;
using Mesh.Concurrency;
using Mesh.Protos.Otlp;
using Mesh.Telemetry;
using Microsoft.Extensions.Logging;

namespace Mesh.Export;

/// <summary>Sends what was measured to the control plane every interval; what could not be sent is merged into the next try.</summary>
/// <remarks>
/// All state is owned by the one loop: one message is on its way at a time, and what waits is <see cref="UnsentMeasurements"/>, so that no outage costs more. A message whose answer did not come
/// may have been taken: it is sent again as it was, by its number. After <see cref="LongestKept"/> without success the oldest measurements would lie about when they happened: they are dropped, and that is said.
/// </remarks>
/// <param name="connect">Gives the connection to the control plane.</param>
/// <param name="counters">Null: only durations are sent.</param>
internal sealed partial class OtlpMetricsExporter(
    MetricAggregate aggregate,
    Resource resource,
    Func<CancellationToken, ValueTask<CallInvoker>> connect,
    TimeSpan interval,
    TimeProvider time,
    ILogger<OtlpMetricsExporter> logger,
    CounterTotals? counters = null) : IAsyncDisposable
{
    /// <summary>How long unsent measurements are kept.</summary>
    public static readonly TimeSpan LongestKept = TimeSpan.FromMinutes(10);

    /// <summary>Most series in one message, so that it stays far below gRPC's 4 MB.</summary>
    public const int MaxSeriesPerMessage = 500;

    /// <summary>Intervals between two tries at most, while the control plane takes nothing.</summary>
    public const int LongestBackoff = 4;

    private static readonly TimeSpan ShortestInterval = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestHurry = TimeSpan.FromMinutes(10);
    private readonly SeriesCollector _collector = new(aggregate, counters);
    private readonly UnsentMeasurements _unsent = new();
    private readonly PeriodicTimer _timer = new(interval, time);
    private readonly CancellationTokenSource _stop = new();
    private readonly string _run = Guid.NewGuid().ToString("N");
    private (DateTimeOffset From, DateTimeOffset To)? _dropped;

    // Guards the pace: the timer's period, and until when it is another than the interval.
    private readonly Lock _pace = new();
    private Appointment _hurryEnds;
    private DateTimeOffset _collectedAt = time.GetUtcNow();
    private Task _running = Task.CompletedTask;
    private Queue<PendingPoint> _gauges = new();
    private bool _failing;
    private bool _gaugesFail;
    private bool _started;
    private int _failures;
    private int _waiting;
    private int _skip;
    private int _stopped;

    /// <summary>Points that the control plane has not got; as the loop last left it.</summary>
    internal int Waiting => Volatile.Read(ref _waiting);

    /// <summary>It reports at the interval that is set: nobody looks.</summary>
    public bool IsCalm
    {
        get
        {
            lock (_pace)
            {
                return _timer.Period == interval;
            }
        }
    }

    /// <summary>Starts the loop; never waits.</summary>
    public void Start()
    {
        _started = true;
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }
    }

    /// <summary>Somebody looks: sends more often for a while, never less often than is set. Thread-safe.</summary>
    /// <param name="each">At least half a second.</param>
    /// <param name="lasts">At most ten minutes.</param>
    public void Hurry(TimeSpan each, TimeSpan lasts)
    {
        each = each < ShortestInterval ? ShortestInterval : each;
        lasts = lasts < LongestHurry ? lasts : LongestHurry;
        if (each >= interval || lasts <= TimeSpan.Zero)
        {
            return;
        }

        lock (_pace)
        {
            if (_stopped != 0 || _hurryEnds.Left(time) > lasts)
            {
                return;
            }

            _hurryEnds = new Appointment(time, lasts);
            if (_timer.Period != each)
            {
                _timer.Period = each;
            }
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
        lock (_pace)
        {
            _timer.Dispose();
        }

        await _running.ConfigureAwait(false);
        if (_started)
        {
            Collect();
            await SendAsync(flush, CancellationToken.None, isLast: true).ConfigureAwait(false);
        }

        _stop.Dispose();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync() => await StopAsync(TimeSpan.FromSeconds(2)).ConfigureAwait(false);

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await _timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false))
            {
                Collect();
                if (_skip > 0)
                {
                    _skip--;
                    DropOld();
                    continue;
                }

                await SendAsync(Deadline, cancellationToken).ConfigureAwait(false);
                Calm();
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

    /// <summary>Nobody looks any more: back to the interval that is set.</summary>
    private void Calm()
    {
        lock (_pace)
        {
            if (_stopped == 0 && _timer.Period != interval && _hurryEnds.Left(time) <= TimeSpan.Zero)
            {
                _timer.Period = interval;
            }
        }
    }

    private void Collect()
    {
        var now = time.GetUtcNow();
        if (counters is not null)
        {
            ReadGauges(counters, now);
        }

        _collector.Look(
            now,
            (series, delta) => _unsent.Add(series, delta, series.Durations.Exemplar.Collect(), _collectedAt, now),
            (series, count) => _unsent.Add(series, count, _collectedAt, now));
        _collectedAt = now;
        Volatile.Write(ref _waiting, _unsent.Count);
    }

    private void ReadGauges(CounterTotals totals, DateTimeOffset now)
    {
        _gauges = new Queue<PendingPoint>(totals.ReadGauges(out var problem).Select(g => new PendingGauge(g, now)));
        if (problem is not null && !_gaugesFail)
        {
            Log.GaugesFail(logger, problem);
        }

        _gaugesFail = problem is not null;
    }

    private async Task SendAsync(TimeSpan deadline, CancellationToken cancellationToken, bool isLast = false)
    {
        var gauges = _gauges;
        _gauges = new Queue<PendingPoint>();
        if (_unsent.Count == 0 && gauges.Count == 0 && !isLast)
        {
            return;
        }

        using var timeout = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            var client = new MetricsService.MetricsServiceClient(await connect(both.Token).ConfigureAwait(false));
            var saidLast = !isLast;
            while (_unsent.Next(gauges, MaxSeriesPerMessage) is { } message)
            {
                saidLast = isLast && !_unsent.HasMore && gauges.Count == 0;
                await SendAsync(client, message, saidLast, both.Token).ConfigureAwait(false);
            }

            if (!saidLast)
            {
                await SendAsync(client, _unsent.Empty(), isLast, both.Token).ConfigureAwait(false);
            }

            _failures = 0;
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

            // The first failure is tried again at the next tick, then ever more seldom.
            _skip = Math.Min(LongestBackoff, 1 << Math.Min(_failures++, 10)) - 1;
            DropOld();
        }
    }

    private async Task SendAsync(MetricsService.MetricsServiceClient client, MeasurementMessage message, bool isLast, CancellationToken cancellationToken)
    {
        var answer = await client.ExportAsync(OtlpRequest.From(resource, message.Points.Concat(message.Gauges)), Headers(message.Number, isLast), cancellationToken: cancellationToken).ResponseAsync.ConfigureAwait(false);
        _unsent.Taken();
        _dropped = null;
        Volatile.Write(ref _waiting, _unsent.Count);
        if (answer.PartialSuccess is { RejectedDataPoints: > 0 } partial)
        {
            Log.PointsRejected(logger, partial.RejectedDataPoints, partial.ErrorMessage);
        }
    }

    private Metadata Headers(long number, bool isLast)
    {
        var headers = new Metadata { { ReportHeaders.Run, _run }, { ReportHeaders.Number, number.ToString(System.Globalization.CultureInfo.InvariantCulture) } };
        if (isLast)
        {
            headers.Add(ReportHeaders.Last, "1");
        }

        if (_dropped is { } dropped)
        {
            var now = time.GetUtcNow();
            headers.Add(ReportHeaders.Dropped, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{(now - dropped.From).TotalSeconds:0}.{(now - dropped.To).TotalSeconds:0}"));
        }

        return headers;
    }

    private void DropOld()
    {
        var (points, from, to) = _unsent.DropBefore(time.GetUtcNow() - LongestKept);
        if (points > 0)
        {
            _dropped = (from < _dropped?.From ? from : _dropped?.From ?? from, to > _dropped?.To ? to : _dropped?.To ?? to);
            Volatile.Write(ref _waiting, _unsent.Count);
            Log.MeasurementsDropped(logger, points, LongestKept);
        }
    }
}
