using Mesh.Config;
using Mesh.Resilience;
using Polly;
using Polly.Retry;

namespace Mesh.Outbound;

/// <summary>Timeout, retries and per-try timeout of one route as a Polly pipeline, compiled once. Polly runs them; the mesh decides whether and where.</summary>
internal sealed class RouteResilience
{
    private static readonly ResiliencePropertyKey<OutboundCall> CallKey = new("mesh.call");
    private readonly ResiliencePipeline<HttpResponseMessage> _pipeline;
    private readonly RetryPolicy _policy;

    private RouteResilience(ResiliencePipeline<HttpResponseMessage> pipeline, RetryPolicy policy, TimeSpan? timeout, bool retries) =>
        (_pipeline, _policy, Timeout, Retries) = (pipeline, policy, timeout, retries);

    /// <summary>From the call's start to the end of its response; null is none.</summary>
    public TimeSpan? Timeout { get; }

    public bool Retries { get; }

    /// <summary>The first attempt needs a timer, so it runs inside the pipeline too.</summary>
    public bool TimesAttempts => Timeout is not null || _policy.PerTryTimeout is not null;

    /// <summary>Null when nothing is armed: such a call enters no pipeline.</summary>
    /// <param name="maxStreamDuration">The listener's; the shorter one counts.</param>
    public static RouteResilience? Compile(RouteAction.Forward forward, TimeSpan? maxStreamDuration, TimeProvider time, Random random)
    {
        var timeout = forward.Timeout is { } own && (maxStreamDuration is null || own < maxStreamDuration) ? own : maxStreamDuration;
        // A control plane that says nothing means: what is safe.
        var policy = forward.Retry ?? RetryDecider.Default;
        var retries = policy is { NumRetries: > 0, On: not RetryOn.None };
        if (timeout is null && !retries && policy.PerTryTimeout is null)
        {
            return null;
        }

        var builder = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = time };
        if (timeout is not null)
        {
            builder.AddTimeout(InPollysRange(timeout.Value));
        }

        if (retries)
        {
            builder.AddRetry(new RetryStrategyOptions<HttpResponseMessage>
            {
                MaxRetryAttempts = policy.NumRetries,
                ShouldHandle = args => ValueTask.FromResult(ShouldRetry(policy, args)),
                // Full jitter up to an interval that doubles (Envoy).
                DelayGenerator = args => ValueTask.FromResult<TimeSpan?>(
                    random.NextDouble() * TimeSpan.FromTicks(Math.Min(policy.BaseInterval.Ticks << Math.Min(args.AttemptNumber, 20), policy.MaxInterval.Ticks))),
            });
        }

        if (policy.PerTryTimeout is { } perTry)
        {
            builder.AddTimeout(InPollysRange(perTry));
        }

        return new RouteResilience(builder.Build(), policy, timeout, retries);
    }

    /// <summary>Whether an attempt made outside the pipeline is worth entering it. Asks the budget nothing: the pipeline does.</summary>
    public bool MayRetry(OutboundCall call) => Retries && call.MayRetry(_policy);

    /// <param name="first">The outcome of the first attempt when it was made already; null lets the pipeline make it.</param>
    public async ValueTask<Outcome<HttpResponseMessage>> ExecuteAsync(OutboundCall call, Outcome<HttpResponseMessage>? first = null)
    {
        var attempts = new Attempts(call, first);
        var context = ResilienceContextPool.Shared.Get(call.Token);
        context.Properties.Set(CallKey, call);
        try
        {
            return await _pipeline.ExecuteOutcomeAsync(static (context, attempts) => attempts.NextAsync(context.CancellationToken), context, attempts).ConfigureAwait(false);
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
            attempts.DropFirst();
        }
    }

    private static bool ShouldRetry(RetryPolicy policy, RetryPredicateArguments<HttpResponseMessage> args)
    {
        // Polly asks after the last attempt too: that must not take from the budget.
        if (args.AttemptNumber >= policy.NumRetries || args.Context.CancellationToken.IsCancellationRequested)
        {
            return false;
        }

        var call = args.Context.Properties.GetValue(CallKey, null!);
        return call.MayRetry(policy) && call.Cluster!.Budget.TryTake(call.Pipeline.Time.GetTimestamp());
    }

    // Polly takes 10 ms to 1 day.
    private static TimeSpan InPollysRange(TimeSpan timeout) =>
        timeout < TimeSpan.FromMilliseconds(10) ? TimeSpan.FromMilliseconds(10) : timeout > TimeSpan.FromDays(1) ? TimeSpan.FromDays(1) : timeout;

    /// <summary>What Polly asks for attempts. Hands out the one that was made before it, then makes new ones.</summary>
    private sealed class Attempts(OutboundCall call, Outcome<HttpResponseMessage>? first)
    {
        private Outcome<HttpResponseMessage>? _first = first;

        public ValueTask<Outcome<HttpResponseMessage>> NextAsync(CancellationToken cancellationToken)
        {
            if (_first is { } made)
            {
                _first = null;
                return ValueTask.FromResult(made);
            }

            return call.Pipeline.AttemptAsync(call, cancellationToken);
        }

        /// <summary>Polly asks for nothing when the caller has just given up: then nobody else would end the first attempt.</summary>
        public void DropFirst() => _first?.Result?.Dispose();
    }
}
