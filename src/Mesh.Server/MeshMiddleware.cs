using Mesh.Inbound;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>The path of a request in, in this order: is this workload ready, may it come in plaintext, who calls, how long does the caller wait; then the app; then what is counted.</summary>
internal sealed partial class MeshMiddleware(RequestDelegate next, MeshGate gate, InboundMetrics metrics, InboundCounters counters, LoadResponses loads, LoadStream loadStream, ILogger<MeshMiddleware> logger)
{
    public Task InvokeAsync(HttpContext context)
    {
        var connection = context.Features.Get<MeshConnectionFeature>();
        // Null: an excluded port, another server, the mesh is off.
        return connection is null ? next(context) : ServeAsync(context, connection);
    }

    private async Task ServeAsync(HttpContext context, MeshConnectionFeature connection)
    {
        var arrived = gate.Time.GetTimestamp();
        if (connection.Address is { } address && !gate.IsProbe(context.Request.Path))
        {
            var policy = address.Policy;
            if (policy is null || gate.Identity.Current is null)
            {
                policy = await WaitAsync(context, address).ConfigureAwait(false);
                if (policy is null)
                {
                    return;
                }
            }

            if (connection.IsPlaintext && !policy.Plaintext)
            {
                Log.PlaintextRefused(logger, address.Name);
                context.Abort();
                return;
            }
        }

        if (connection.Peer is { } peer)
        {
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

        var limit = InboundDeadline.Read(context.Request, out var ignored);
        if (ignored is not null)
        {
            Log.DeadlineIgnored(logger, ignored);
        }

        var started = gate.Time.GetTimestamp();
        var threw = true;
        var reportsLoad = loads.Begin(context, connection);
        try
        {
            await (limit is null ? next(context) : ServeUntilAsync(context, new Deadline(gate.Time, arrived, limit.Value))).ConfigureAwait(false);
            threw = false;
        }
        finally
        {
            if (limit is null && context.RequestAborted.IsCancellationRequested)
            {
                counters.Cancelled();
            }

            var success = !threw && InboundOutcome.IsSuccess(context);
            metrics.Record(connection, success, gate.Time.GetElapsedTime(started));
            loads.End(context, reportsLoad, success);
        }
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
            if (unanswered)
            {
                // Half an answer must not look whole.
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
    private async Task<InboundPolicy?> WaitAsync(HttpContext context, InboundAddress address)
    {
        using var patience = new CancellationTokenSource(MeshGate.LongestWait, gate.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, context.RequestAborted);
        try
        {
            await gate.Identity.GetAsync(either.Token).ConfigureAwait(false);
            return await address.GetAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                return null;
            }

            var missing = gate.Identity.Current is null
                ? $"it has no certificate yet. {gate.Identity.Problem ?? "The control plane has not answered yet."}"
                : $"the control plane has not said yet what {address.Name} accepts.";
            Log.NotReady(logger, address.Name, missing);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.ContentType = "text/plain; charset=utf-8";
            // The reason goes to the log; the caller learns which step is missing, not our addresses.
            await context.Response.WriteAsync(
                gate.Identity.Current is null ? "mesh: this workload has no certificate yet\n" : "mesh: this workload has no inbound policy yet\n", CancellationToken.None).ConfigureAwait(false);
            return null;
        }
    }
}
