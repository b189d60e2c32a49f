using System.Threading.Channels;
using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>One look at requests, at one other replica: asks again when that breaks off. Ends with <see cref="DisposeAsync"/>.</summary>
internal sealed class RemoteWatch : IAsyncDisposable
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(5);
    private readonly CancellationTokenSource _stop = new();
    private readonly Func<string, ReplicaPeer?> _find;
    private readonly TapQuestion _question;
    private readonly ChannelWriter<TapEvent> _to;
    private readonly TimeProvider _time;
    private readonly Task _running;
    private readonly Lock _lock = new();
    private TapTotals _before;
    private TapTotals _now;
    private (long Seen, long At) _measured;
    private double? _demand;
    private long _overflowed;

    /// <param name="find">Where that replica is now; null: it is gone.</param>
    public RemoteWatch(string name, Func<string, ReplicaPeer?> find, TapQuestion question, double perSecond, ChannelWriter<TapEvent> to, TimeProvider time)
    {
        (Name, _find, _question, _to, _time, MaxPerSecond) = (name, find, question, to, time, perSecond);
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }
    }

    public string Name { get; }

    /// <summary>What it may show at most.</summary>
    public double MaxPerSecond { get; set; }

    /// <summary>Who attends at others.</summary>
    public IReadOnlyList<string> AttendElsewhere { get; set; } = [];

    /// <summary>Who attends there.</summary>
    public IReadOnlyList<string> Attending { get; private set; } = [];

    /// <inheritdoc cref="TapRun.Asked"/>
    public IReadOnlyList<string> Asked { get; private set; } = [];

    /// <summary>Why its part is missing; null: it is not.</summary>
    public string? Problem { get; private set; }

    /// <summary>Per second; null while it is not known.</summary>
    public double? Demand
    {
        get
        {
            lock (_lock)
            {
                return _demand;
            }
        }
    }

    public TapTotals Totals
    {
        get
        {
            lock (_lock)
            {
                var all = _before.Plus(_now);
                return all with { DataPlanes = _now.DataPlanes, Sent = all.Sent - _overflowed, Dropped = all.Dropped + _overflowed };
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                if (_find(Name) is { Calls: { } calls })
                {
                    await WatchAsync(calls, cancellationToken);
                    Problem = "it ended the stream";
                }
                else
                {
                    Problem = _find(Name)?.Problem ?? "it is gone";
                }
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is RpcException or IOException or InvalidOperationException or OperationCanceledException)
            {
                Problem = e is RpcException rpc ? $"{rpc.StatusCode}: {rpc.Status.Detail}" : e.Message;
            }
            catch (Exception) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            lock (_lock)
            {
                (_before, _now, _measured, _demand) = (_before.Plus(_now), default, default, null);
                _before = _before with { DataPlanes = 0 };
            }

            await Task.Delay(Rest, _time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task WatchAsync(CallInvoker calls, CancellationToken cancellationToken)
    {
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var call = new TapReplicas.TapReplicasClient(calls).Watch(cancellationToken: ends.Token);
        var reading = ReadAsync(call.ResponseStream, ends.Token);
        var asking = AskAsync(call.RequestStream, ends.Token);
        if (await Task.WhenAny(reading, asking) == asking)
        {
            await Task.WhenAny(reading, Task.Delay(Second, _time, ends.Token));
        }

        var first = reading.IsCompleted ? reading : asking;
        await ends.CancelAsync();
        await Task.WhenAll(reading, asking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first;
    }

    private async Task AskAsync(IClientStreamWriter<WatchAsked> to, CancellationToken cancellationToken)
    {
        var last = new WatchAsked { Question = TapQuestions.Write(_question), MaxPerSecond = MaxPerSecond, Attending = { AttendElsewhere } };
        await to.WriteAsync(last, cancellationToken);
        last.Question = null;
        using var timer = new PeriodicTimer(Second, _time);
        while (await timer.WaitForNextTickAsync(cancellationToken))
        {
            var next = new WatchAsked { MaxPerSecond = MaxPerSecond, Attending = { AttendElsewhere } };
            if (!next.Equals(last))
            {
                await to.WriteAsync(last = next, cancellationToken);
            }
        }
    }

    private async Task ReadAsync(IAsyncStreamReader<WatchSeen> from, CancellationToken cancellationToken)
    {
        while (await from.MoveNext(cancellationToken))
        {
            var seen = from.Current;
            Problem = null;
            Attending = [.. seen.Attending];
            Asked = [.. seen.Asked];
            var lost = seen.Events.Count(e => TapJson.Read<TapEvent>(e) is not { } shown || !_to.TryWrite(shown));
            lock (_lock)
            {
                _overflowed += lost;
                _now = new TapTotals(seen.DataPlanes, seen.Seen, seen.Sent, seen.Dropped);
                var now = _time.GetTimestamp();
                if (_measured.At == 0 || _time.GetElapsedTime(_measured.At, now) >= Second)
                {
                    _demand = _measured.At == 0 ? null : (seen.Seen - _measured.Seen) / _time.GetElapsedTime(_measured.At, now).TotalSeconds;
                    _measured = (seen.Seen, now);
                }
            }
        }
    }
}
