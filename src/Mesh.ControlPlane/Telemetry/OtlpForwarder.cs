using Google.Protobuf;
using Mesh.Concurrency;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Gives all measurements and spans that workloads send on to a collector, as they came: with the workload's own resource.</summary>
/// <remarks>
/// Taking never waits: what waits is bounded (<see cref="OtlpQueue"/>). One loop sends; what may be sent again is, after waits that grow or that the collector asks for, until it is older than <see cref="LongestKept"/>.
/// What the collector refuses for what is in it is sent again in halves, for several workloads' messages went together: in the end only the one that is refused alone is dropped. Of a message that it took it never
/// gets a part again, whatever it says of single points (OTLP §"Partial Success").
/// </remarks>
internal sealed partial class OtlpForwarder : IAsyncDisposable
{
    public const int MaxWaitingBytes = 32 * 1024 * 1024;
    public const int MaxMessageBytes = 1024 * 1024;
    public static readonly TimeSpan LongestKept = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    /// <summary>Points that are not taken are told of at most so often; what is not told at once is in the next line.</summary>
    private static readonly TimeSpan TellEvery = TimeSpan.FromMinutes(1);

    private readonly OtlpQueue _queue = new(MaxWaitingBytes, MaxMessageBytes);
    private readonly SemaphoreSlim _more = new(0, 1);
    private readonly CancellationTokenSource _stop = new();
    private readonly OtlpTarget _target;
    private readonly string _where;
    private readonly TimeProvider _time;
    private readonly Backoff _backoff;
    private readonly ILogger _logger;
    private readonly Task _running;
    private readonly OtlpCounts[] _counts = [new(), new()];
    private bool _failing;

    /// <param name="where">For logs; no key stands in it.</param>
    public OtlpForwarder(OtlpTarget target, string where, TimeProvider time, Random random, ILogger<OtlpForwarder> logger)
    {
        (_target, _where, _time, _logger) = (target, where, time, logger);
        _backoff = new Backoff(random, max: TimeSpan.FromSeconds(30));
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }
    }

    /// <summary>Bytes that wait.</summary>
    public int WaitingBytes => _queue.Bytes;

    /// <summary>Messages of workloads that the collector took.</summary>
    public long Sent(OtlpSignal signal) => Interlocked.Read(ref _counts[(int)signal].Sent);

    /// <summary>Messages of workloads that it did not get.</summary>
    public long Dropped(OtlpSignal signal) => Interlocked.Read(ref _counts[(int)signal].Dropped);

    /// <summary>Points and spans that it did not take of messages that it took.</summary>
    public long Rejected(OtlpSignal signal) => Interlocked.Read(ref _counts[(int)signal].Rejected);

    /// <summary>How often something was sent again.</summary>
    public long Retried(OtlpSignal signal) => Interlocked.Read(ref _counts[(int)signal].Retried);

    /// <summary>Never waits.</summary>
    public void Take(OtlpSignal signal, IMessage request)
    {
        var message = request.ToByteArray();
        if (message.Length == 0)
        {
            return;
        }

        foreach (var gone in _queue.Add(signal, message, _time.GetTimestamp()))
        {
            Drop(gone);
        }

        if (_more.CurrentCount == 0)
        {
            try
            {
                _more.Release();
            }
            catch (SemaphoreFullException)
            {
                // Somebody else has woken the loop.
            }
        }
    }

    /// <summary>Sends what waits, for at most two seconds; the rest is dropped, and said.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2), _time);
        try
        {
            while (_queue.Next() is { } next && await TrySendAsync(next, waits: false, limit.Token))
            {
            }
        }
        catch (OperationCanceledException)
        {
            // It has had its time.
        }

        DropTheRest();
        _target.Dispose();
        _more.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                await _more.WaitAsync(cancellationToken);
                while (_queue.Next() is { } next)
                {
                    await TrySendAsync(next, waits: true, cancellationToken);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Stopped.
        }
        catch (Exception e)
        {
            Log.ForwardingDied(_logger, _where, e);
        }
    }

    /// <summary>Sends it until it is taken, refused, or too old. When it is cancelled, what was not sent waits again.</summary>
    /// <returns>False when it may be tried again, and is not to be waited for.</returns>
    private async Task<bool> TrySendAsync(OtlpBatch batch, bool waits, CancellationToken cancellationToken)
    {
        // The next one last.
        var open = new Stack<OtlpBatch>([batch]);
        try
        {
            while (open.TryPeek(out var next))
            {
                var answer = await AskAsync(next, cancellationToken);
                Tell(next, answer);
                switch (answer.Verdict)
                {
                    case OtlpVerdict.Taken:
                        Interlocked.Add(ref _counts[(int)next.Signal].Sent, next.Messages.Count);
                        open.Pop();
                        break;
                    case OtlpVerdict.Later when _time.GetElapsedTime(next.Since) <= LongestKept:
                        if (!waits)
                        {
                            PutBack(open);
                            return false;
                        }

                        await WaitAsync(answer.RetryAfter, cancellationToken);
                        Interlocked.Increment(ref _counts[(int)next.Signal].Retried);
                        break;
                    case OtlpVerdict.Refused when next.Messages.Count > 1:
                        open.Pop();
                        var (first, second) = next.Halves();
                        open.Push(second);
                        open.Push(first);
                        break;
                    default:
                        Drop(open.Pop());
                        break;
                }
            }

            return true;
        }
        catch (OperationCanceledException)
        {
            PutBack(open);
            throw;
        }
    }

    /// <param name="open">The next one on top.</param>
    private void PutBack(Stack<OtlpBatch> open)
    {
        foreach (var left in open.Reverse())
        {
            _queue.PutBack(left);
        }
    }

    /// <summary>At the end: nobody sends it any more.</summary>
    private void DropTheRest()
    {
        var messages = 0;
        while (_queue.Next() is { } left)
        {
            messages += left.Messages.Count;
            Drop(left);
        }

        if (messages > 0)
        {
            Log.LeftBehind(_logger, _where, messages);
        }
    }

    private Task WaitAsync(TimeSpan? asked, CancellationToken cancellationToken)
    {
        var wait = _backoff.Next();
        wait = asked > wait ? asked.Value : wait;
        return Task.Delay(wait < LongestKept ? wait : LongestKept, _time, cancellationToken);
    }

    private async Task<OtlpAnswer> AskAsync(OtlpBatch batch, CancellationToken cancellationToken)
    {
        using var timed = new CancellationTokenSource(Deadline, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, cancellationToken);
        try
        {
            return await _target.SendAsync(batch.Signal, batch.Joined(), either.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new(OtlpVerdict.Later, $"no answer within {Deadline.TotalSeconds:0} s");
        }
    }

    private void Drop(OtlpBatch batch) => Interlocked.Add(ref _counts[(int)batch.Signal].Dropped, batch.Messages.Count);

    private void Tell(OtlpBatch batch, in OtlpAnswer answer)
    {
        if (answer.Verdict == OtlpVerdict.Taken)
        {
            _backoff.Reset();
            if (_failing)
            {
                _failing = false;
                Log.ForwardingRecovered(_logger, _where);
            }

            if (answer.Problem is not null)
            {
                TellRejected(batch.Signal, answer);
            }
        }
        else if (!_failing)
        {
            _failing = true;
            var what = answer.Verdict switch
            {
                OtlpVerdict.Later => "kept and sent later",
                OtlpVerdict.Refused when batch.Messages.Count > 1 => "sent again in parts, so that only what is refused alone is dropped",
                _ => "dropped",
            };
            Log.ForwardingFailed(_logger, _where, batch.Signal, answer.Problem ?? string.Empty, what);
        }
    }

    private void TellRejected(OtlpSignal signal, in OtlpAnswer answer)
    {
        var counts = _counts[(int)signal];
        Interlocked.Add(ref counts.Rejected, answer.Rejected);
        counts.Untold += answer.Rejected;
        if (counts.ToldAt is { } told && _time.GetElapsedTime(told) < TellEvery)
        {
            return;
        }

        Log.PartlyTaken(_logger, _where, counts.Untold, signal == OtlpSignal.Traces ? "spans" : "data points", answer.Problem!);
        (counts.Untold, counts.ToldAt) = (0, _time.GetTimestamp());
    }

    private static partial class Log
    {
        [LoggerMessage(4711, LogLevel.Warning, "Telemetry can't be given on to {Where} ({Signal}): {Problem}; it is {What}", EventName = nameof(ForwardingFailed))]
        public static partial void ForwardingFailed(ILogger logger, string where, OtlpSignal signal, string problem, string what);

        [LoggerMessage(4712, LogLevel.Information, "Telemetry is given on to {Where} again", EventName = nameof(ForwardingRecovered))]
        public static partial void ForwardingRecovered(ILogger logger, string where);

        [LoggerMessage(4713, LogLevel.Critical, "Giving telemetry on to {Where} died. Restart the control plane and report this", EventName = nameof(ForwardingDied))]
        public static partial void ForwardingDied(ILogger logger, string where, Exception exception);

        [LoggerMessage(4717, LogLevel.Warning, "{Where} did not take {Messages} messages of workloads before this control plane ended: they are dropped", EventName = nameof(LeftBehind))]
        public static partial void LeftBehind(ILogger logger, string where, int messages);

        [LoggerMessage(4716, LogLevel.Warning, "{Where} did not take {Rejected} {What} of what it was given: {Problem}. They are not sent again", EventName = nameof(PartlyTaken))]
        public static partial void PartlyTaken(ILogger logger, string where, long rejected, string what, string problem);
    }
}
