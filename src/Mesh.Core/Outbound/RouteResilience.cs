using System.Runtime.CompilerServices;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Telemetry;
using Polly;
using Polly.Hedging;
using Polly.Retry;
using Polly.Timeout;

namespace Mesh.Outbound;

/// <summary>What one route arms against failure, compiled once: Polly pipelines for timeouts, retries and hedges, and what each attempt is watched for. Polly runs them; the mesh decides whether and where.</summary>
internal sealed class RouteResilience
{
    private static readonly ResiliencePropertyKey<OutboundCall> CallKey = new("mesh.call");
    private static readonly ResiliencePropertyKey<HedgedAttempts> HedgeKey = new("mesh.hedge");
    private static readonly ResiliencePropertyKey<TimeSpan> DelayKey = new("mesh.retry_delay");
    private readonly ResiliencePipeline<HttpResponseMessage> _pipeline;
    private readonly ResiliencePipeline<HttpResponseMessage>? _hedged;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly Hedging? _hedging;
    private readonly LatencyPercentile? _latencies;
    private readonly TimeSpan? _headersTimeout;
    private readonly TimeSpan? _idleTimeout;

    private RouteResilience(RouteAction.Forward forward, RetryPolicy policy, TimeSpan? timeout, CallLimits? limits, TimeProvider time, Random random)
    {
        (Policy, Timeout, _time, _random) = (policy, timeout, time, random);
        (_headersTimeout, _idleTimeout) = (forward.ResponseHeadersTimeout, forward.IdleTimeout);
        Retries = policy is { NumRetries: > 0, On: not RetryOn.None };
        MaxRequests = limits?.MaxRequests ?? int.MaxValue;
        _pipeline = Build(builder => _ = Retries ? builder.AddRetry(RetryOptions()) : builder);
        if (forward.Hedging is { } hedging && limits is not { NoHedging: true }
            && Math.Min(hedging.MaxAttempts, 1L + (limits?.MaxRetries ?? int.MaxValue)) is >= 2 and var attempts)
        {
            _hedging = hedging with { MaxAttempts = (int)attempts };
            _latencies = hedging.Percentile > 0 ? new LatencyPercentile(time) : null;
            _hedged = Build(builder => builder.AddHedging(HedgingOptions()));
        }
    }

    /// <summary>From the call's start to the end of its response; null is none.</summary>
    public TimeSpan? Timeout { get; }

    public RetryPolicy Policy { get; }

    public bool Retries { get; }

    /// <summary>The first attempt needs a timer, so it runs inside the pipeline too.</summary>
    public bool TimesAttempts => Timeout is not null || Policy.PerTryTimeout is not null;

    /// <summary>Calls that may be done twice are sent twice when they take long.</summary>
    public bool Hedges => _hedged is not null;

    /// <summary>Each attempt gets an <see cref="AttemptWatch"/>.</summary>
    public bool WatchesAttempts => _headersTimeout is not null || _idleTimeout is not null;

    /// <summary>Most calls in flight to the cluster for this one to begin; the cluster's own limit stands beside it.</summary>
    public int MaxRequests { get; }

    /// <summary>What hedges are told with.</summary>
    public string HedgeReason => _latencies is null ? "delay" : "percentile";

    /// <summary>Null when nothing is armed: such a call enters no pipeline.</summary>
    /// <param name="maxStreamDuration">The listener's; the shorter one counts.</param>
    /// <param name="limits">What the app allows at most: it narrows, and never widens.</param>
    public static RouteResilience? Compile(RouteAction.Forward forward, TimeSpan? maxStreamDuration, TimeProvider time, Random random, CallLimits? limits = null)
    {
        // A control plane that says nothing means: what is safe.
        var policy = forward.Retry ?? RetryDecider.Default;
        policy = policy with
        {
            NumRetries = Math.Clamp(limits?.MaxRetries ?? policy.NumRetries, 0, policy.NumRetries),
            PerTryTimeout = Shorter(policy.PerTryTimeout, limits?.AttemptTimeout),
        };
        var resilience = new RouteResilience(forward, policy, Shorter(Shorter(forward.Timeout, maxStreamDuration), limits?.Timeout), limits, time, random);
        return resilience is { Retries: false, TimesAttempts: false, Hedges: false, WatchesAttempts: false, MaxRequests: int.MaxValue } ? null : resilience;
    }

    /// <summary>Whether an attempt made outside the pipeline is worth entering it. Asks the budget nothing: the pipeline does.</summary>
    public bool MayRetry(OutboundCall call, HttpResponseMessage? response) => Retries && CallRetries.Wants(Policy, call, response, call.IsIdempotent);

    /// <summary>What keeps the time of an attempt; only for routes that watch.</summary>
    public AttemptWatch Watch(OutboundCall call, CancellationToken cancellationToken)
    {
        var content = call.Request.Content as ReplayContent;
        var watch = new AttemptWatch(_time, _headersTimeout, _idleTimeout, requestEnded: content is null, cancellationToken);
        content?.Watch = watch;
        return watch;
    }

    /// <param name="first">The outcome of the first attempt when it was made already; null lets the pipeline make it.</param>
    public async ValueTask<Outcome<HttpResponseMessage>> ExecuteAsync(OutboundCall call, Outcome<HttpResponseMessage>? first = null)
    {
        var attempts = new Attempts(this, call, first);
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

    /// <summary>Runs a call with attempts beside each other.</summary>
    public async ValueTask<Outcome<HttpResponseMessage>> HedgeAsync(OutboundCall call)
    {
        var attempts = new HedgedAttempts(call, this, _hedging!.MaxAttempts);
        var context = ResilienceContextPool.Shared.Get(call.Token);
        context.Properties.Set(CallKey, call);
        context.Properties.Set(HedgeKey, attempts);
        try
        {
            return attempts.Adopt(await _hedged!.ExecuteOutcomeAsync(static (context, attempts) => attempts.NextAsync(context), context, attempts).ConfigureAwait(false));
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }
    }

    /// <summary>How long an attempt may take before another one is sent beside it; null while too little is known.</summary>
    /// <param name="now">Timestamp.</param>
    public TimeSpan? HedgeDelay(long now)
    {
        var delay = _hedging!.Delay;
        if (_latencies is not null)
        {
            if (_latencies.At(_hedging.Percentile, now) is not { } usual)
            {
                return null;
            }

            delay = usual > delay ? usual : delay;
        }

        return delay > TimeSpan.FromMilliseconds(1) ? delay : TimeSpan.FromMilliseconds(1);
    }

    public void RecordLatency(TimeSpan latency, long now) => _latencies?.Record(latency, now);

    private static TimeSpan? Shorter(TimeSpan? one, TimeSpan? other) => one is null || other < one ? other : one;

    // Polly takes 10 ms to 1 day.
    private static TimeSpan InPollysRange(TimeSpan timeout) =>
        timeout < TimeSpan.FromMilliseconds(10) ? TimeSpan.FromMilliseconds(10) : timeout > TimeSpan.FromDays(1) ? TimeSpan.FromDays(1) : timeout;

    /// <summary>Time of the call, what repeats attempts, time of each attempt.</summary>
    private ResiliencePipeline<HttpResponseMessage> Build(Action<ResiliencePipelineBuilder<HttpResponseMessage>> addRepeating)
    {
        var builder = new ResiliencePipelineBuilder<HttpResponseMessage> { TimeProvider = _time };
        if (Timeout is { } timeout)
        {
            builder.AddTimeout(TimeoutOptions(timeout, "request"));
        }

        addRepeating(builder);
        if (Policy.PerTryTimeout is { } perTry)
        {
            builder.AddTimeout(TimeoutOptions(perTry, "attempt"));
        }

        return builder.Build();
    }

    private static TimeoutStrategyOptions TimeoutOptions(TimeSpan timeout, string reason) => new()
    {
        Timeout = InPollysRange(timeout),
        // Zero would be no limit.
        TimeoutGenerator = reason != "request" ? null : args => ValueTask.FromResult(
            args.Context.Properties.GetValue(CallKey, null!).Delayed is { Ticks: > 0 } delayed ? InPollysRange(timeout - delayed) : InPollysRange(timeout)),
        OnTimeout = args =>
        {
            var call = args.Context.Properties.GetValue(CallKey, null!);
            call.Pipeline.Telemetry.Decide(call, Decisions.Timeout, reason);
            return default;
        },
    };

    private RetryStrategyOptions<HttpResponseMessage> RetryOptions() => new()
    {
        MaxRetryAttempts = Policy.NumRetries,
        ShouldHandle = ShouldRetryAsync,
        DelayGenerator = args => ValueTask.FromResult<TimeSpan?>(args.Context.Properties.GetValue(DelayKey, TimeSpan.Zero)),
    };

    private HedgingStrategyOptions<HttpResponseMessage> HedgingOptions() => new()
    {
        MaxHedgedAttempts = _hedging!.MaxAttempts - 1,
        ShouldHandle = args => args.Context.Properties.GetValue(HedgeKey, null!).ShouldGoOnAsync(args),
        DelayGenerator = args => args.Context.Properties.GetValue(HedgeKey, null!).PatienceAsync(),
        ActionGenerator = args => args.PrimaryContext.Properties.GetValue(HedgeKey, null!).Another(args),
    };

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> ShouldRetryAsync(RetryPredicateArguments<HttpResponseMessage> args)
    {
        // Polly asks after the last attempt too: that must not take from the budget.
        if (args.AttemptNumber >= Policy.NumRetries || args.Context.CancellationToken.IsCancellationRequested)
        {
            return false;
        }

        var call = args.Context.Properties.GetValue(CallKey, null!);
        var response = args.Outcome.Result;
        if (!CallRetries.Wants(Policy, call, response, call.IsIdempotent))
        {
            return false;
        }

        await call.BodySettlesAsync().ConfigureAwait(false);
        if (args.Context.CancellationToken.IsCancellationRequested
            || !CallRetries.TryBegin(call, response, Backoff(args.AttemptNumber), Timeout, call.CanReplay, Decisions.Retry, CallRetries.Reason(call.Last), out var delay))
        {
            return false;
        }

        if (call.Pipeline.Telemetry.TimesWaits(call))
        {
            call.WaitBegins(call.Pipeline.Time.GetTimestamp());
        }

        args.Context.Properties.Set(DelayKey, delay);
        return true;
    }

    /// <summary>Full jitter up to an interval that doubles (Envoy).</summary>
    private TimeSpan Backoff(int retry)
    {
        var ticks = Policy.BaseInterval.Ticks > Policy.MaxInterval.Ticks >> Math.Min(retry, 20) ? Policy.MaxInterval.Ticks : Policy.BaseInterval.Ticks << Math.Min(retry, 20);
        return _random.NextDouble() * TimeSpan.FromTicks(ticks);
    }

    /// <summary>What Polly asks for attempts. Hands out the one that was made before it, then makes new ones.</summary>
    private sealed class Attempts(RouteResilience resilience, OutboundCall call, Outcome<HttpResponseMessage>? first)
    {
        private Outcome<HttpResponseMessage>? _first = first;

        public ValueTask<Outcome<HttpResponseMessage>> NextAsync(CancellationToken cancellationToken)
        {
            if (_first is { } made)
            {
                _first = null;
                return ValueTask.FromResult(made);
            }

            return call.Pipeline.AttemptAsync(call, resilience, cancellationToken);
        }

        /// <summary>Polly asks for nothing when the caller has just given up: then nobody else would end the first attempt.</summary>
        public void DropFirst() => _first?.Result?.Dispose();
    }
}
