using Mesh.Inbound;
using Mesh.Policy;
using Mesh.Resilience;
using Mesh.Tap;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>The path of a request in, in this order: how long does the caller wait, which of its headers are believed, is this workload ready, may it come in plaintext, who calls, has it one meaning, whose tokens are these, may they, is it one too many; then the app; then what is counted.</summary>
/// <remarks>
/// A request that is one too many is refused by the first of: its rate limits, the places of its port or route, the places of the whole server (<see cref="RequestLimits"/>).
/// The deadline runs from the moment when its headers were read: waiting for readiness and for a place counts. Probe paths are never limited; excluded ports never come here.
/// </remarks>
internal sealed partial class MeshMiddleware(
    RequestDelegate next, MeshGate gate, InboundMetrics metrics, InboundCounters counters, RefusalLog refusals, LoadResponses loads, LoadStream loadStream, HeaderTrust trust,
    InboundAuthentication authentication, InboundAuthorization authorization, ServerSpans spans, InboundTap tap, ILogger<MeshMiddleware> logger)
{
    public Task InvokeAsync(HttpContext context)
    {
        var connection = context.Features.Get<MeshConnectionFeature>();
        // Null: an excluded port, another server, the mesh is off.
        return connection is not null ? (tap.Taps is { } taps ? ServeWatchedAsync(context, connection, taps) : ServeAsync(context, connection)) : HttpProtocol.IsHttp3(context.Request.Protocol) ? UnjudgedAsync(context) : next(context);
    }

    /// <summary>QUIC does not come through the mesh's listener: nobody would judge it.</summary>
    private Task UnjudgedAsync(HttpContext context)
    {
        if (!gate.IsServing || gate.ExcludedPorts.Contains(context.Connection.LocalPort))
        {
            return next(context);
        }

        if (refusals.IsDue("http3", out _))
        {
            Log.Http3Refused(logger, context.Connection.LocalPort);
        }

        context.Response.StatusCode = StatusCodes.Status421MisdirectedRequest;
        return Task.CompletedTask;
    }

    /// <summary>Somebody looks, and may want to see a request also while it goes on.</summary>
    private async Task ServeWatchedAsync(HttpContext context, MeshConnectionFeature connection, ActiveTap[] taps)
    {
        // Probes are nobody's call.
        var open = gate.IsProbe(context.Request.Path) ? null : tap.Begin(taps, context, connection);
        try
        {
            await ServeAsync(context, connection).ConfigureAwait(false);
        }
        finally
        {
            open?.End();
        }
    }

    private async Task ServeAsync(HttpContext context, MeshConnectionFeature connection)
    {
        var arrived = gate.Time.GetTimestamp();
        var limit = InboundDeadline.Read(context.Request, out var ignored);
        var deadline = limit is null ? null : new Deadline(gate.Time, arrived, limit.Value);
        if (ignored is not null)
        {
            Log.DeadlineIgnored(logger, ignored);
        }

        trust.Apply(context, connection);
        InboundPolicy? policy = null;
        if (!gate.IsProbe(context.Request.Path))
        {
            policy = connection.Address is { } address ? await AdmittedAsync(context, connection, address, deadline).ConfigureAwait(false) : gate.Table.Undescribed;
            if (policy is null)
            {
                return;
            }
        }

        if (connection.Peer is { } peer)
        {
            if (!gate.TakesTcp)
            {
                // For sidecars; an app has no use for it.
                context.Request.Headers.Remove(MeshHeaders.OriginalProtocol);
            }

            context.Features.Set<IHttpAuthenticationFeature>(new MeshAuthenticationFeature(peer.Id));
            if (connection.IsMarked && !HttpProtocol.IsHttp2(context.Request.Protocol))
            {
                // HTTP/2 carries the scheme that the caller wrote; HTTP/1 does not, and mesh clients write http.
                context.Request.Scheme = "http";
            }
        }

        if (loadStream.Takes(context, connection))
        {
            await loadStream.ServeAsync(context).ConfigureAwait(false);
            return;
        }

        var started = gate.Time.GetTimestamp();
        // Probes are nobody's call.
        var span = policy is null ? default : spans.Begin(context, connection, deadline);
        var threw = true;
        var reportsLoad = loads.Begin(context, connection);
        try
        {
            await (policy is null ? AppAsync(context, deadline)
                : authentication.IsIdle(policy.Guards(connection.IsMeshTls)) ? JudgedAsync(context, connection, policy, VerifiedClaims.None, deadline)
                : GuardedAsync(context, connection, policy, deadline)).ConfigureAwait(false);
            threw = false;
        }
        finally
        {
            if (deadline is null && context.RequestAborted.IsCancellationRequested)
            {
                counters.Cancelled();
            }

            var success = !threw && InboundOutcome.IsSuccess(context);
            var duration = gate.Time.GetElapsedTime(started);
            metrics.Record(context, connection, success, duration, span.Activity);
            if (policy is not null)
            {
                if (tap.Taps is { } taps)
                {
                    tap.Show(taps, context, connection, success, threw, duration);
                }

                spans.End(span, context, success, duration);
            }

            loads.End(context, reportsLoad, success);
        }
    }

    /// <summary>One meaning, then tokens; what decides by them comes after.</summary>
    private async Task GuardedAsync(HttpContext context, MeshConnectionFeature connection, InboundPolicy policy, Deadline? deadline)
    {
        if (await authentication.AuthenticateAsync(context, connection, policy.Guards(connection.IsMeshTls), deadline).ConfigureAwait(false) is { } claims)
        {
            await JudgedAsync(context, connection, policy, claims, deadline).ConfigureAwait(false);
        }
    }

    private Task AppAsync(HttpContext context, Deadline? deadline) => deadline is null ? next(context) : ServeUntilAsync(context, deadline);

    /// <summary>Null when the request ends here: identity or policy did not come in time, or it may not come in plaintext.</summary>
    private ValueTask<InboundPolicy?> AdmittedAsync(HttpContext context, MeshConnectionFeature connection, InboundAddress address, Deadline? deadline)
    {
        if (address.Policy is not { } policy || gate.Identity.Current is null)
        {
            return WaitAsync(context, connection, address, deadline);
        }

        if (!connection.IsMeshTls && !policy.Plaintext)
        {
            Log.PlaintextRefused(logger, address.Name);
            tap.Refused(context, connection, InboundTap.PlaintextRule, "the port takes mesh TLS only");
            context.Abort();
            return default;
        }

        return new(policy);
    }

    /// <summary>To the app, if the request is not one too many.</summary>
    private async Task LimitedAsync(HttpContext context, MeshConnectionFeature connection, InboundLimiter limiter, Deadline? deadline)
    {
        if (deadline is { IsOver: true })
        {
            // Nothing of it is worth a place or a token.
            await ServeUntilAsync(context, deadline).ConfigureAwait(false);
            return;
        }

        var head = limiter.NeedsHead ? new HttpContextHead(context.Request) : null;
        var limits = limiter.For(head, gate.Chance);
        var caller = connection.CallerOf(context);
        if (limits.Charge(head, caller, gate.Chance) is { } tooMany)
        {
            await RefuseAsync(context, tooMany, caller).ConfigureAwait(false);
            return;
        }

        var admission = await limits.EnterAsync(deadline, context.RequestAborted).ConfigureAwait(false);
        if (admission != Admission.Entered)
        {
            await TurnAwayAsync(context, admission, deadline, caller).ConfigureAwait(false);
            return;
        }

        try
        {
            await AppAsync(context, deadline).ConfigureAwait(false);
        }
        finally
        {
            limits.Exit();
        }
    }

    private Task TurnAwayAsync(HttpContext context, Admission admission, Deadline? deadline, string caller)
    {
        if (admission != Admission.CallerLeft)
        {
            return RefuseAsync(context, admission == Admission.QueueFull ? Refusal.QueueFull : Refusal.QueueTimeout, caller);
        }

        if (deadline is null)
        {
            // Counted where every request ends.
            return Task.CompletedTask;
        }

        if (!deadline.IsOver && context.RequestAborted.IsCancellationRequested)
        {
            counters.Cancelled();
            return Task.CompletedTask;
        }

        counters.DeadlineExceeded();
        return InboundDeadline.AnswerAsync(context);
    }

    private Task RefuseAsync(HttpContext context, Refusal refusal, string caller)
    {
        counters.Decide(refusal.Decision, refusal.Reason);
        if (refusals.IsDue(refusal.Reason, out var count))
        {
            if (refusal.IsRateLimit)
            {
                Log.RateLimited(logger, count, refusal.Reason, caller);
            }
            else
            {
                Log.Shed(logger, count, refusal.Reason, caller);
            }
        }

        return InboundRefusal.AnswerAsync(context, refusal);
    }

    /// <summary>The app sees the deadline's end as it sees a caller that left, and so do the calls that it makes.</summary>
    private async Task ServeUntilAsync(HttpContext context, Deadline deadline)
    {
        if (deadline.IsOver)
        {
            counters.DeadlineExceeded();
            await InboundDeadline.AnswerAsync(context).ConfigureAwait(false);
            return;
        }

        var caller = context.RequestAborted;
        using var bound = deadline.Bind(caller);
        context.RequestAborted = bound.Token;
        // Seen by what this method awaits; the caller of this method never sees it.
        Deadline.Current = deadline;
        var unanswered = false;
        try
        {
            await next(context).ConfigureAwait(false);
        }
        catch (Exception e) when (bound.HasExpired)
        {
            // Cancellation, or what the app made of its own calls' 504: not a fault of the app's.
            Log.DeadlineOver(logger, e);
            unanswered = true;
        }
        finally
        {
            context.RequestAborted = caller;
            Count(bound, caller);
        }

        if (context.Response.HasStarted)
        {
            // Half an answer must not look whole: gRPC says so in its trailers.
            if (!(bound.HasExpired && InboundDeadline.TryEndGrpc(context, unanswered)) && unanswered)
            {
                context.Abort();
            }
        }
        else if (bound.HasExpired && (unanswered || !InboundDeadline.HasGoodAnswer(context.Response)))
        {
            await InboundDeadline.AnswerAsync(context).ConfigureAwait(false);
        }
    }

    private void Count(DeadlineToken bound, CancellationToken caller)
    {
        if (bound.HasExpired)
        {
            counters.DeadlineExceeded();
        }
        else if (caller.IsCancellationRequested)
        {
            counters.Cancelled();
        }
    }

    /// <summary>Null when it was answered here: identity or policy did not come in time.</summary>
    private async ValueTask<InboundPolicy?> WaitAsync(HttpContext context, MeshConnectionFeature connection, InboundAddress address, Deadline? deadline)
    {
        var bounded = deadline?.Left < MeshGate.LongestWait;
        var longest = bounded ? deadline!.Left : MeshGate.LongestWait;
        using var patience = new CancellationTokenSource(longest > TimeSpan.Zero ? longest : TimeSpan.Zero, gate.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, context.RequestAborted);
        try
        {
            await gate.Identity.GetAsync(either.Token).ConfigureAwait(false);
            await address.GetAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                counters.Cancelled();
                return null;
            }

            var missing = gate.Identity.Current is null
                ? $"it has no certificate yet. {gate.Identity.Problem ?? "The control plane has not answered yet."}"
                : $"the control plane has not said yet what {address.Name} accepts.";
            Log.NotReady(logger, address.Name, missing);
            if (bounded)
            {
                counters.DeadlineExceeded();
                await InboundDeadline.AnswerAsync(context).ConfigureAwait(false);
                return null;
            }

            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.ContentType = "text/plain; charset=utf-8";
            // The reason goes to the log; the caller learns which step is missing, not our addresses.
            await context.Response.WriteAsync(
                gate.Identity.Current is null ? "mesh: this workload has no certificate yet\n" : "mesh: this workload has no inbound policy yet\n", CancellationToken.None).ConfigureAwait(false);
            return null;
        }

        return await AdmittedAsync(context, connection, address, deadline).ConfigureAwait(false);
    }
}
