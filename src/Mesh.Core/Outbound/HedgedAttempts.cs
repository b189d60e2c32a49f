using Mesh.Resilience;
using Mesh.Telemetry;
using Polly;
using Polly.Hedging;

namespace Mesh.Outbound;

/// <summary>The attempts of one call that run beside each other. The first good answer wins; the others are cancelled and count neither for nor against their endpoints.</summary>
/// <remarks>
/// Each runs on a fork of the call with a request of its own, the first one too: nobody touches the caller's request while a loser unwinds.
/// Polly asks for attempts one after another; they end on any thread.
/// </remarks>
internal sealed class HedgedAttempts(OutboundCall call, RouteResilience resilience, int max)
{
    private static readonly ResiliencePropertyKey<OutboundCall> ForkKey = new("mesh.fork");
    private readonly OutboundCall?[] _forks = new OutboundCall?[max];
    private readonly HttpResponseMessage?[] _responses = new HttpResponseMessage?[max];
    private int _count;
    private int _running;
    private bool _stopped;
    private bool _nextIsHedge;

    // How many attempts have ended; and who waits for the next one to end.
    private int _ended;
    private TaskCompletionSource? _oneMoreEnded;

    // A hedge is due, and the body that it would send is still being sent by an attempt; of how many attempts had ended then.
    private int? _waitsForBody;

    // What the next one is made for, when it is no hedge.
    private AttemptResult _before;

    // An attempt failed so that another one is wanted, and none was begun for it yet.
    private OutboundCall? _failed;
    private HttpResponseMessage? _failedResponse;

    /// <summary>How long to wait for the attempts that run before another one is begun. A hedge that is due already waits here for the body it needs.</summary>
    public ValueTask<TimeSpan> PatienceAsync() =>
        _waitsForBody is { } ended ? BodyAsync(ended)
        : new(Volatile.Read(ref _stopped) ? Timeout.InfiniteTimeSpan : resilience.HedgeDelay(call.Pipeline.Time.GetTimestamp()) ?? Timeout.InfiniteTimeSpan);

    /// <summary>Makes an attempt. Never throws.</summary>
    public async ValueTask<Outcome<HttpResponseMessage>> NextAsync(ResilienceContext context)
    {
        var time = call.Pipeline.Time;
        var index = Interlocked.Increment(ref _count) - 1;
        Interlocked.Increment(ref _running);
        var fork = call.Fork(index == 0 ? call.Request.Content : NextContent());
        fork.Attempts = index;
        fork.IsHedge = index > 0 && _nextIsHedge;
        fork.Last = _before;
        context.Properties.Set(ForkKey, fork);
        Volatile.Write(ref _forks[index], fork);
        var start = time.GetTimestamp();
        var attempt = call.Pipeline.AttemptAsync(fork, resilience, context.CancellationToken);
        // Picked by now: the next one goes elsewhere.
        call.Tried = fork.Tried;
        var outcome = await attempt.ConfigureAwait(false);
        _responses[index] = outcome.Result;
        if (fork.Last.End is AttemptEnd.Response or AttemptEnd.Timeout || fork.HasLost)
        {
            // A loser took at least so long: without it the percentile would sink with every hedge.
            var now = time.GetTimestamp();
            resilience.RecordLatency(time.GetElapsedTime(start, now), now);
        }

        Interlocked.Decrement(ref _running);
        Interlocked.Increment(ref _ended);
        Volatile.Read(ref _oneMoreEnded)?.TrySetResult();
        return outcome;
    }

    /// <summary>An attempt ended: true when another one is to be made for it. Else it is the answer, and the others have lost.</summary>
    public async ValueTask<bool> ShouldGoOnAsync(HedgingPredicateArguments<HttpResponseMessage> args)
    {
        if (!args.Context.Properties.TryGetValue(ForkKey, out var fork))
        {
            return false;
        }

        if (!fork.HasLost && CallRetries.Wants(resilience.Policy, fork, args.Outcome.Result, mayBeDoneTwice: true))
        {
            await call.BodySettlesAsync().ConfigureAwait(false);
            (_failedResponse, _failed) = (args.Outcome.Result, fork);
            return true;
        }

        for (var i = 0; i < _forks.Length; i++)
        {
            // Before Polly cancels them, so that they know that they did not time out.
            if (Volatile.Read(ref _forks[i]) is { } other && !ReferenceEquals(other, fork))
            {
                other.HasLost = true;
            }
        }

        return false;
    }

    /// <summary>Another attempt, because the others take long or one failed; null when there must be none.</summary>
    public Func<ValueTask<Outcome<HttpResponseMessage>>>? Another(HedgingActionGeneratorArguments<HttpResponseMessage> args)
    {
        var (failed, response) = (_failed, _failedResponse);
        (_failed, _failedResponse) = (null, null);
        if (_stopped || call.Token.IsCancellationRequested || call.IsOverdue)
        {
            return Stop();
        }

        if (failed is null && Volatile.Read(ref _running) > 0 && call.Request.Content is ReplayContent { IsSettled: false })
        {
            _waitsForBody = Volatile.Read(ref _ended);
            return null;
        }

        var (decision, reason) = failed is not null ? (Decisions.Retry, CallRetries.Reason(failed.Last)) : (Decisions.Hedge, resilience.HedgeReason);
        if (!CallRetries.TryBegin(failed ?? call, response, TimeSpan.Zero, resilience.Timeout, CanSendBody, decision, reason, out var delay))
        {
            return Stop();
        }

        (_nextIsHedge, _before) = (failed is null, failed?.Last ?? default);
        return delay <= TimeSpan.Zero ? () => args.Callback(args.ActionContext) : () => AfterAsync(delay, args);

        // From now on it waits for those that run: asking again and again would change nothing.
        Func<ValueTask<Outcome<HttpResponseMessage>>>? Stop()
        {
            Volatile.Write(ref _stopped, true);
            return null;
        }
    }

    /// <summary>The call takes over what its best attempt left.</summary>
    public Outcome<HttpResponseMessage> Adopt(Outcome<HttpResponseMessage> outcome)
    {
        var count = Volatile.Read(ref _count);
        OutboundCall? best = null;
        for (var i = 0; i < count && i < max; i++)
        {
            if (Volatile.Read(ref _forks[i]) is { } fork && (outcome.Result is null || ReferenceEquals(_responses[i], outcome.Result)))
            {
                best = fork;
            }
        }

        call.Adopt(best, count);
        if (outcome.Result is { } response)
        {
            response.RequestMessage = call.Request;
        }

        return outcome;
    }

    /// <summary>Until the body is kept or can't be, or an attempt ends.</summary>
    private async ValueTask<TimeSpan> BodyAsync(int ended)
    {
        var oneMoreEnded = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Interlocked.Exchange(ref _oneMoreEnded, oneMoreEnded);
        if (Volatile.Read(ref _ended) == ended)
        {
            await Task.WhenAny(((ReplayContent)call.Request.Content!).SettleAsync(), oneMoreEnded.Task).ConfigureAwait(false);
        }

        _waitsForBody = null;
        return TimeSpan.Zero;
    }

    private bool CanSendBody => call.Request.Content is not ReplayContent body || body.IsKept || (Volatile.Read(ref _running) == 0 && body.CanReplay);

    private HttpContent? NextContent() => call.Request.Content is ReplayContent { IsKept: true } body ? body.Again() : call.Request.Content;

    private async ValueTask<Outcome<HttpResponseMessage>> AfterAsync(TimeSpan delay, HedgingActionGeneratorArguments<HttpResponseMessage> args)
    {
        try
        {
            await Task.Delay(delay, call.Pipeline.Time, args.ActionContext.CancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            return Outcome.FromException<HttpResponseMessage>(e);
        }

        return await args.Callback(args.ActionContext).ConfigureAwait(false);
    }
}
