using System.Threading.Channels;
using Grpc.Core;
using Mesh.Concurrency;
using Mesh.Protos.Tap;
using Microsoft.Extensions.Logging;

namespace Mesh.Tap;

/// <summary>Who attends: as the control plane is told.</summary>
/// <param name="RefusesTaps">The operator set <c>Mesh:Tap=false</c>.</param>
internal sealed record TapAttendant(string NodeId, string Workload, bool RefusesTaps);

/// <summary>Holds one stream to the control plane and does what it asks over it: taps, and measurements more often for a while. Carries away what taps saw, and which requests were refused.</summary>
/// <remarks>While nobody looks and nothing is refused it sleeps. It owns no call: if it is slow, or away, exchanges are dropped and counted.</remarks>
/// <param name="connect">Gives the connection to the control plane.</param>
/// <param name="hurry">Sends measurements at this interval for that long.</param>
internal sealed partial class TapAttendance(
    TapPoint point, DenialReports denials, TapAttendant attendant, Action<TimeSpan, TimeSpan> hurry,
    Func<CancellationToken, ValueTask<CallInvoker>> connect, TimeProvider time, Random random, ILogger<TapAttendance> logger) : IAsyncDisposable
{
    /// <summary>How long a control plane that has no taps is left alone.</summary>
    public static readonly TimeSpan NotServedRest = TimeSpan.FromMinutes(30);

    private const int MostPerReport = 64;
    private static readonly TimeSpan Gather = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Steady = TimeSpan.FromSeconds(30);
    private readonly Channel<byte> _wakes = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private int _stopped;

    /// <summary>Starts the loop; never waits.</summary>
    public void Start()
    {
        point.Begun = Wake;
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }
    }

    /// <summary>Ends the stream and all taps.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _stop.Dispose();
    }

    private void Wake() => _wakes.Writer.TryWrite(0);

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            var backoff = new Backoff(random, max: TimeSpan.FromSeconds(30));
            while (true)
            {
                var wait = await TryAttendAsync(backoff, cancellationToken).ConfigureAwait(false);
                await Task.Delay(wait, time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // Stopped.
        }
        catch (Exception e)
        {
            Log.AttendanceDied(logger, e);
        }
    }

    /// <returns>How long to wait before the next try.</returns>
    private async Task<TimeSpan> TryAttendAsync(Backoff backoff, CancellationToken cancellationToken)
    {
        string problem;
        try
        {
            var invoker = await connect(cancellationToken).ConfigureAwait(false);
            var began = time.GetTimestamp();
            try
            {
                await AttendAsync(invoker, cancellationToken).ConfigureAwait(false);
                problem = "the control plane ended it";
            }
            finally
            {
                denials.Listener = null;
                point.StopAll();
                if (time.GetElapsedTime(began) >= Steady)
                {
                    backoff.Reset();
                }
            }
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            if (e is RpcException { StatusCode: StatusCode.Unimplemented })
            {
                Log.NotServed(logger, NotServedRest);
                return NotServedRest;
            }

            problem = e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message;
        }

        var wait = backoff.Next();
        Log.StreamEnded(logger, problem, wait);
        return wait;
    }

    private async Task AttendAsync(CallInvoker invoker, CancellationToken cancellationToken)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var call = new TapService.TapServiceClient(invoker).Attend(cancellationToken: ends.Token);
        var reading = ReadAsync(call.ResponseStream, ends.Token);
        var writing = WriteAsync(call.RequestStream, ends.Token);
        if (await Task.WhenAny(reading, writing).ConfigureAwait(false) == writing)
        {
            // The stream is broken; why, the other direction knows.
            await Task.WhenAny(reading, Task.Delay(Second, time, ends.Token)).ConfigureAwait(false);
        }

        var first = reading.IsCompleted ? reading : writing;
        await ends.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(reading, writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first.ConfigureAwait(false);
    }

    private async Task ReadAsync(IAsyncStreamReader<TapOrder> orders, CancellationToken cancellationToken)
    {
        while (await orders.MoveNext(cancellationToken).ConfigureAwait(false))
        {
            var order = orders.Current;
            switch (order.OrderCase)
            {
                case TapOrder.OrderOneofCase.Start when !attendant.RefusesTaps:
                    Start(order.Start);
                    break;
                case TapOrder.OrderOneofCase.Stop:
                    if (Array.Exists(point.Taps ?? [], t => t.Settings.Id == order.Stop))
                    {
                        point.Stop(order.Stop);
                        Log.TapEnded(logger, TapText.Of(order.Stop));
                    }

                    break;
                case TapOrder.OrderOneofCase.Hurry:
                    hurry(TimeSpan.FromMilliseconds(order.Hurry.IntervalMs), TimeSpan.FromMilliseconds(order.Hurry.LastsMs));
                    break;
                default:
                    // Of a later version, or refused.
                    break;
            }
        }
    }

    private void Start(StartTap order)
    {
        var isNew = !Array.Exists(point.Taps ?? [], t => t.Settings.Id == order.Id);
        if (TapMessages.Read(order) is not { } settings || !point.Start(settings))
        {
            Log.OrderRefused(logger);
        }
        else if (isNew)
        {
            Log.TapBegan(logger, TapText.Of(order.Id), settings.MaxPerSecond);
        }
    }

    private async Task WriteAsync(IClientStreamWriter<TapReport> reports, CancellationToken cancellationToken)
    {
        await reports.WriteAsync(
            new TapReport { Hello = new Hello { NodeId = attendant.NodeId, Workload = attendant.Workload, RefusesTaps = attendant.RefusesTaps } }, cancellationToken).ConfigureAwait(false);
        denials.Listener = Wake;
        var toldAt = time.GetTimestamp() - time.TimestampFrequency;
        while (true)
        {
            if (point.Taps is null && !denials.HasAny)
            {
                await _wakes.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            }

            // Many come together: they go together.
            var rest = Second - time.GetElapsedTime(toldAt);
            await Task.Delay(point.Taps is not null || rest < Gather ? Gather : rest, time, cancellationToken).ConfigureAwait(false);
            point.ShowOpen();
            await SendSeenAsync(reports, cancellationToken).ConfigureAwait(false);
            if (time.GetElapsedTime(toldAt) >= Second)
            {
                toldAt = time.GetTimestamp();
                await TellAsync(reports, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task SendSeenAsync(IClientStreamWriter<TapReport> reports, CancellationToken cancellationToken)
    {
        // What comes meanwhile goes with the next ones.
        for (var left = TapPoint.MostWaiting; left > 0;)
        {
            var report = new TapReport();
            while (report.Exchanges.Count < MostPerReport && left > 0 && point.TryTake(out var tap, out var exchange))
            {
                left--;
                tap.CountSent();
                report.Exchanges.Add(TapMessages.Write(tap.Settings.Id, exchange));
            }

            if (report.Exchanges.Count == 0)
            {
                return;
            }

            await reports.WriteAsync(report, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task TellAsync(IClientStreamWriter<TapReport> reports, CancellationToken cancellationToken)
    {
        var report = new TapReport();
        report.Stats.AddRange((point.Taps ?? []).Select(TapMessages.Write));
        report.Denials.AddRange(denials.Take().Select(TapMessages.Write));
        if (report.Stats.Count + report.Denials.Count > 0)
        {
            await reports.WriteAsync(report, cancellationToken).ConfigureAwait(false);
        }
    }
}
