using System.Globalization;
using Mesh.Config;
using Mesh.Traffic;
using Polly;
using Polly.Simmy;
using Polly.Simmy.Latency;
using Polly.Simmy.Outcomes;

namespace Mesh.Resilience;

/// <summary>What was done to a call on purpose.</summary>
/// <param name="Delay">Zero is none.</param>
/// <param name="ByHeader">The delay came from a header.</param>
/// <param name="TimeIsOver">The delay took what time the call had.</param>
/// <param name="HttpStatus">It ends so; null with <paramref name="GrpcStatus"/> null too is that it goes on.</param>
internal readonly record struct InjectedFault(TimeSpan Delay, bool ByHeader, bool TimeIsOver, int? HttpStatus, int? GrpcStatus);

/// <summary>Delays calls and then refuses them, each by its own draw (gRFC A33). Polly's chaos strategies do it; what, how often and to whom is decided here. Thread-safe.</summary>
internal sealed class FaultInjector
{
    private const double Million = 1_000_000;
    private static readonly ResiliencePropertyKey<Call> CallKey = new("mesh.fault");

    // Durations of the wire go up to 10,000 years, timers do not: one that fails would fail every call with it.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);
    private static readonly object Goes = new();
    private static readonly object Ends = new();
    private readonly FaultInjection _settings;
    private readonly TimeProvider _time;
    private readonly ResiliencePipeline<object> _pipeline;
    private int _active;

    public FaultInjector(FaultInjection settings, TimeProvider time, Random random)
    {
        (_settings, _time) = (settings, time);
        _pipeline = new ResiliencePipelineBuilder<object> { TimeProvider = time }
            .AddChaosLatency(new ChaosLatencyStrategyOptions
            {
                InjectionRateGenerator = args => ValueTask.FromResult(Rate(CallOf(args.Context), settings.DelayByHeader, FaultHeaders.DelayPercentage, settings.DelayUnitPerMillion, settings.DelayPerMillion)),
                LatencyGenerator = args => ValueTask.FromResult(Latency(CallOf(args.Context))),
                Randomizer = random.NextDouble,
            })
            .AddChaosOutcome(new ChaosOutcomeStrategyOptions<object>
            {
                InjectionRateGenerator = args => ValueTask.FromResult(Rate(CallOf(args.Context), settings.AbortByHeader, FaultHeaders.AbortPercentage, settings.AbortUnitPerMillion, settings.AbortPerMillion)),
                OutcomeGenerator = args => ValueTask.FromResult(Abort(CallOf(args.Context))),
                Randomizer = random.NextDouble,
            })
            .Build();
    }

    /// <summary>Requests say themselves how long they are delayed.</summary>
    public bool DelaysByHeader => _settings.DelayByHeader;

    /// <summary>Waits as long as the call is to be delayed.</summary>
    /// <param name="left">The call's own time: it waits no longer; null is no limit.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled meanwhile.</exception>
    public async ValueTask<InjectedFault> InjectAsync(RequestHead head, TimeSpan? left, CancellationToken cancellationToken)
    {
        if (_settings.ExpiresAt is { } end && _time.GetUtcNow() >= end)
        {
            return default;
        }

        for (var i = 0; i < _settings.Headers.Count; i++)
        {
            if (!_settings.Headers[i].Matches(head))
            {
                return default;
            }
        }

        var call = new Call(head, left);
        var context = ResilienceContextPool.Shared.Get(cancellationToken);
        context.Properties.Set(CallKey, call);
        try
        {
            var outcome = await _pipeline.ExecuteOutcomeAsync(static (_, _) => ValueTask.FromResult(Outcome.FromResult(Goes)), context, call).ConfigureAwait(false);
            outcome.ThrowIfException();
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
            if (call.IsActive)
            {
                Interlocked.Decrement(ref _active);
            }
        }

        return new InjectedFault(call.Delay, _settings.DelayByHeader, call.TimeIsOver, call.HttpStatus, call.GrpcStatus);
    }

    private static Call CallOf(ResilienceContext context) => context.Properties.GetValue(CallKey, null!);

    /// <summary>What the configuration says is the most: a header only makes it less.</summary>
    private static double Rate(Call call, bool byHeader, string header, int unit, int perMillion) =>
        (byHeader && Number(call.Head, header) is { } asked ? Math.Min((long)asked * unit, perMillion) : perMillion) / Million;

    /// <summary>Asked only when the draw said so; zero delays nothing.</summary>
    private TimeSpan Latency(Call call)
    {
        var delay = _settings.DelayByHeader ? TimeSpan.FromMilliseconds(Number(call.Head, FaultHeaders.Delay) ?? 0) : _settings.Delay ?? TimeSpan.Zero;
        if (delay <= TimeSpan.Zero)
        {
            return TimeSpan.Zero;
        }

        if (!TryEnter(call))
        {
            return TimeSpan.Zero;
        }

        delay = delay < Longest ? delay : Longest;
        if (delay >= call.Left)
        {
            (delay, call.TimeIsOver) = (call.Left.Value > TimeSpan.Zero ? call.Left.Value : TimeSpan.Zero, true);
        }

        return call.Delay = delay;
    }

    /// <summary>Asked only when the draw said so; null lets the call go on.</summary>
    private Outcome<object>? Abort(Call call)
    {
        if (call.TimeIsOver || call.IsTooMuch)
        {
            return null;
        }

        var (http, grpc) = _settings.AbortByHeader
            ? (InRange(call.Head, FaultHeaders.AbortHttp, 200, 599), InRange(call.Head, FaultHeaders.AbortGrpc, 0, 16))
            : (_settings.AbortHttpStatus, _settings.AbortGrpcStatus);
        if ((http is null && grpc is null) || !TryEnter(call))
        {
            return null;
        }

        (call.HttpStatus, call.GrpcStatus) = (http, grpc);
        return Outcome.FromResult(Ends);
    }

    private bool TryEnter(Call call)
    {
        if (call.IsActive)
        {
            return true;
        }

        if (Interlocked.Increment(ref _active) > _settings.MaxActive)
        {
            Interlocked.Decrement(ref _active);
            call.IsTooMuch = true;
            return false;
        }

        return call.IsActive = true;
    }

    private static int? InRange(RequestHead head, string header, int min, int max) => Number(head, header) is { } number && number >= min && number <= max ? number : null;

    private static int? Number(RequestHead head, string header) =>
        int.TryParse(head.Header(header), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>One call on its way through the pipeline. Used by one flow at a time.</summary>
    private sealed class Call(RequestHead head, TimeSpan? left)
    {
        public RequestHead Head => head;

        public TimeSpan? Left => left;

        public TimeSpan Delay { get; set; }

        public bool TimeIsOver { get; set; }

        /// <summary>It counts among the active ones.</summary>
        public bool IsActive { get; set; }

        /// <summary>There are as many active ones as there may be.</summary>
        public bool IsTooMuch { get; set; }

        public int? HttpStatus { get; set; }

        public int? GrpcStatus { get; set; }
    }
}

/// <summary>The headers by which a caller asks for faults, where the configuration lets it (Envoy, gRFC A33).</summary>
internal static class FaultHeaders
{
    /// <summary>Whole milliseconds.</summary>
    public const string Delay = "x-envoy-fault-delay-request";

    /// <summary>Whole number; the denominator is the configuration's.</summary>
    public const string DelayPercentage = "x-envoy-fault-delay-request-percentage";

    /// <summary>200–599.</summary>
    public const string AbortHttp = "x-envoy-fault-abort-request";

    /// <summary>0–16.</summary>
    public const string AbortGrpc = "x-envoy-fault-abort-grpc-request";
    public const string AbortPercentage = "x-envoy-fault-abort-request-percentage";
}
