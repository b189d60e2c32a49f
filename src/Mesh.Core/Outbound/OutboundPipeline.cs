using System.Runtime.CompilerServices;
using Mesh.Outbound.Steps;
using Mesh.Resilience;
using Mesh.Telemetry;
using Mesh.Traffic;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Polly;
using Polly.Timeout;

namespace Mesh.Outbound;

/// <summary>The path of an outbound call. Thread-safe.</summary>
/// <remarks>
/// In this order: find the listener (table, read once; ask and wait when it is new) → telemetry (what the app sees, outermost) → route (cluster, once per call; or an answer of its own) → fault (delays and refuses on purpose, once per call, so that its retries are spared) → steer (request as the server is to see it)
/// → mirror (a copy of that) → deadline of the request being served → time limit → retry, or hedge (attempts beside each other, each on a fork of the call) → time per attempt (these in the route's Polly pipeline)
/// → per attempt: drop (what the control plane does not want, never retried) → limit (refuses early, never retried) → session (its endpoint) or balance (another endpoint than before) → pending (likewise refuses)
/// → watch (response headers, idleness) → send (where a connection too many is refused) → heed (an overloaded endpoint is left alone).
/// The end of the response's body ends attempt and call.
/// </remarks>
internal sealed partial class OutboundPipeline(
    OutboundTableStore tables, OutboundSettings settings, TelemetryStep telemetry, TimeProvider time, Random random, ILogger? logger = null) : IDisposable, IAsyncDisposable
{
    private readonly LimitsCheck _limits = new(logger ?? NullLogger.Instance);
    private readonly RouteStep _route = new(random);
    private readonly MirrorStep _mirror = new(time, random);

    public TelemetryStep Telemetry => telemetry;

    public TimeProvider Time => time;

    public Random Random => random;

    /// <param name="passThrough">Where calls go that are none of the mesh's: the client's own primary handler.</param>
    /// <param name="limits">What the app allows at most; null is what the route says.</param>
    /// <returns>Await it once: it may be backed by a pooled state machine.</returns>
    public ValueTask<HttpResponseMessage> SendAsync(HttpRequestMessage request, HttpMessageInvoker passThrough, CallLimits? limits, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true } uri)
        {
            return new(passThrough.SendAsync(request, cancellationToken));
        }

        var key = ListenerKey.Of(uri);
        var found = tables.Current.Find(key);
        found?.Name?.MarkUsed();
        return found switch
        {
            { Host: not null } listener => StartAsync(request, listener, time.GetTimestamp(), limits, cancellationToken),
            { PassesThrough: true } => new(passThrough.SendAsync(request, cancellationToken)),
            null when !ServiceNames.CanBeService(uri, settings.ClusterDomain) => new(passThrough.SendAsync(request, cancellationToken)),
            _ => new(AskAsync(request, key, passThrough, limits, cancellationToken)),
        };
    }

    /// <summary>A call whose destination is an address that somebody dialled, whatever its URI says.</summary>
    /// <inheritdoc cref="SendAsync(HttpRequestMessage, HttpMessageInvoker, CallLimits?, CancellationToken)"/>
    public ValueTask<HttpResponseMessage> SendAsync(HttpRequestMessage request, ListenerKey destination, HttpMessageInvoker passThrough, CancellationToken cancellationToken)
    {
        var found = tables.Current.Find(destination);
        found?.Name?.MarkUsed();
        return found switch
        {
            { Host: not null } listener => StartAsync(request, listener, time.GetTimestamp(), limits: null, cancellationToken),
            { PassesThrough: true } => new(passThrough.SendAsync(request, cancellationToken)),
            _ => new(AskAsync(request, destination, passThrough, limits: null, cancellationToken)),
        };
    }

    /// <summary>Ends what goes on beside calls.</summary>
    public void Dispose() => _mirror.Dispose();

    public ValueTask DisposeAsync() => _mirror.DisposeAsync();

    private ValueTask<HttpResponseMessage> StartAsync(HttpRequestMessage request, OutboundListener listener, long start, CallLimits? limits, CancellationToken cancellationToken) =>
        Deadline.Current is { } deadline
            ? CallUntilAsync(deadline, request, listener, start, limits, cancellationToken)
            : CallAsync(new OutboundCall(this, request, listener, start, limits, cancellationToken));

    private async ValueTask<HttpResponseMessage> CallUntilAsync(Deadline deadline, HttpRequestMessage request, OutboundListener listener, long start, CallLimits? limits, CancellationToken cancellationToken)
    {
        // Until the headers; from then on the body keeps the time.
        using var bound = deadline.Bind(cancellationToken);
        return await CallAsync(new OutboundCall(this, request, listener, start, limits, cancellationToken, bound)).ConfigureAwait(false);
    }

    // Pooled, as the attempt is: one call then costs one state machine, the handler's.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<HttpResponseMessage> CallAsync(OutboundCall call)
    {
        telemetry.BeginCall(call);
        if (_route.Route(call) is { } answer)
        {
            call.Commit();
            telemetry.EndCall(call, new(AttemptEnd.Response, (int)answer.StatusCode, call.IsGrpc ? OutboundErrors.GrpcStatus(answer.Headers) : -1), (int)answer.StatusCode, answer.Version, answer);
            return answer;
        }

        _limits.Look(call);
        if (call.Target!.Faults is { } faults && await FaultStep.InjectAsync(call, faults).ConfigureAwait(false) is { } fault)
        {
            call.Commit();
            telemetry.EndCall(call, call.Last, (int)fault.StatusCode, fault.Version, fault);
            return fault;
        }

        var steering = call.Target.Steering;
        if (steering is not null)
        {
            SteerStep.Apply(call, steering);
        }

        if (call.Route!.Mirrors is { } mirrors)
        {
            _mirror.Begin(call, mirrors);
        }

        call.Cluster!.Budget.CountCall(call.Start);
        var resilience = call.Route!.ResilienceFor(call.Limits);
        var hedged = resilience is { Hedges: true } && call.MayBeHedged;
        if (resilience is not null)
        {
            call.PrepareBody(resilience, hedged);
        }

        // Most first attempts are the only one: without a timer to run, Polly takes over only when there is something to try again, which saves its state machines.
        var outcome = hedged ? await resilience!.HedgeAsync(call).ConfigureAwait(false)
            : resilience is { TimesAttempts: true } ? await resilience.ExecuteAsync(call).ConfigureAwait(false)
            : await AttemptAsync(call, resilience, call.Token).ConfigureAwait(false);
        if (!hedged && resilience is { TimesAttempts: false } && resilience.MayRetry(call, outcome.Result))
        {
            outcome = await resilience.ExecuteAsync(call, outcome).ConfigureAwait(false);
        }

        return Deliver(call, resilience, outcome);
    }

    /// <summary>Hands the call's outcome to the app. From here on the response's body ends the call.</summary>
    private HttpResponseMessage Deliver(OutboundCall call, RouteResilience? resilience, Outcome<HttpResponseMessage> outcome)
    {
        if (call.Copies is { } copies)
        {
            _mirror.Finish(call, copies);
        }

        call.Commit();
        if (outcome.Exception is { } exception)
        {
            var timedOut = exception is TimeoutRejectedException;
            if ((timedOut || call.IsOverdue) && !call.Cancelled.IsCancellationRequested)
            {
                if (!timedOut)
                {
                    telemetry.Decide(call, Decisions.Timeout, "deadline");
                }

                telemetry.EndCall(call, new(AttemptEnd.Timeout), 504, call.Request.Version);
                return OutboundErrors.Respond(
                    call.Request,
                    call.IsGrpc,
                    timedOut ? MeshErrorCode.TimedOut : MeshErrorCode.DeadlineExceeded,
                    $"'{call.Request.RequestUri!.Authority}' did not answer {(timedOut ? "in time" : "before the deadline of the request being served")} ({call.Attempts} attempts, {time.GetElapsedTime(call.Start).TotalSeconds:0.###} s).");
            }

            telemetry.EndCall(call, call.Last, 0, null);
            call.Cancelled.ThrowIfCancellationRequested();
            outcome.ThrowIfException();
        }

        var response = outcome.Result!;
        if (call.Target!.Steering is { } steering && call.Last.End == AttemptEnd.Response)
        {
            steering.Apply(response);
        }

        if (call.Session is { } session && call.Last.End == AttemptEnd.Response)
        {
            SessionStep.End(call, session, response);
        }

        var left = OutboundDeadline.Left(call, resilience?.Timeout);
        if (call.Body is not { } body || !body.TryCommit())
        {
            telemetry.EndCall(call, call.Last, (int)response.StatusCode, response.Version, response);
        }
        else if (left is not null)
        {
            body.ArmDeadline(time, left.Value, call.Deadline?.Left <= left ? "deadline" : "request");
        }

        return response;
    }
}

/// <summary>Where calls to a host go.</summary>
/// <param name="IsMeshed">Through the mesh.</param>
/// <param name="Refusal">Nowhere: this is the answer.</param>
internal readonly record struct HostAnswer(bool IsMeshed, HttpResponseMessage? Refusal = null);
