using System.Diagnostics;
using System.Net;
using System.Runtime.CompilerServices;
using Mesh.Outbound.Steps;
using Mesh.Resilience;
using Mesh.Telemetry;
using Polly;
using Polly.Timeout;

namespace Mesh.Outbound;

/// <summary>One attempt: from the limits to the endpoint, and how it ends.</summary>
internal sealed partial class OutboundPipeline
{
    /// <summary>One attempt; Polly calls it, or the call itself when nothing is armed. Never throws.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<Outcome<HttpResponseMessage>> AttemptAsync(OutboundCall call, RouteResilience? resilience, CancellationToken cancellationToken)
    {
        var cluster = call.Cluster!;
        call.Body = null;
        if (call.Deadline is { } deadline && (call.IsOverdue || !call.TrySendOn(deadline)))
        {
            telemetry.Decide(call, Decisions.Timeout, "deadline");
            return Unsent(call, AttemptEnd.Timeout, MeshErrorCode.DeadlineExceeded, $"'{call.Request.RequestUri!.Authority}' was not asked ({call.Attempts} attempts before): the deadline of the request being served is over.");
        }

        if (call.Attempts == 0 && cluster.Balancer.Drop(random) is { } category)
        {
            telemetry.Decide(call, Decisions.Drop, category);
            return Unsent(call, AttemptEnd.Overloaded, MeshErrorCode.Dropped, $"The control plane wants some calls to cluster '{cluster.Name}' dropped (category '{category}').");
        }

        var most = resilience?.MaxRequests ?? int.MaxValue;
        if (!cluster.Limit.TryEnter(most))
        {
            telemetry.Decide(call, Decisions.Shed, "max_requests");
            return Unsent(call, AttemptEnd.Overloaded, MeshErrorCode.Overloaded, $"{Math.Min(most, cluster.Limit.Max)} calls are in flight to cluster '{cluster.Name}', which is its limit.");
        }

        var now = time.GetTimestamp();
        if ((call.Session is { } session ? SessionStep.Pick(call, session, random, now) : cluster.Balancer.Pick(random, call.Tried, now, call.Hash)) is not OutboundEndpoint endpoint)
        {
            cluster.Limit.Exit();
            if (call.Session is { Settings.Strict: true, Address: { } address })
            {
                return Unsent(call, AttemptEnd.NoEndpoint, MeshErrorCode.NoHealthyEndpoint, $"The session's endpoint {address} of cluster '{cluster.Name}' is gone or not healthy, and the session is strict.");
            }

            return Unsent(call, AttemptEnd.NoEndpoint, MeshErrorCode.NoHealthyEndpoint, $"No endpoint to send to: {cluster.WhyEmpty}.");
        }

        call.Attempts++;
        call.AddTried(endpoint);
        call.Endpoint = endpoint;
        call.TellAttemptsBefore();
        call.WaitEnds(now);
        var span = telemetry.Spans.StartAttempt(call, endpoint, call.IsHedge ? Decisions.Hedge : null);
        endpoint.AttemptStarted();
        var http1Only = !call.ApplyVersion(endpoint.Config);
        call.AsksForLoad |= InBandLoad.Ask(call.Request, cluster.Config);
        var start = time.GetTimestamp();
        EndpointHandler? handler = null;
        HttpResponseMessage? response = null;
        AttemptWatch? watch = null;
        var insideOnly = endpoint.NeedsIdentity ? null : MeshOnlyHeaders.TakeOut(call.Request);
        var asked = (call.Request.Content as ReplayContent)?.Asked ?? -1;
        try
        {
            handler = endpoint.TryAcquire(http1Only) ?? await AcquireAsync(endpoint, http1Only, cancellationToken).ConfigureAwait(false);
            if (handler is null)
            {
                endpoint.AttemptEnded();
                cluster.Limit.Exit();
                EndUnsent(span, new(AttemptEnd.NoEndpoint));
                return Unsent(call, AttemptEnd.NoEndpoint, MeshErrorCode.NoIdentity, "This workload has no certificate yet: the certificate authority has not answered. Check the control plane's address and the token.");
            }

            if (handler.Connections.CountsWaiting && !TryWait(call, handler))
            {
                endpoint.AttemptEnded();
                cluster.Limit.Exit();
                handler.Release();
                EndUnsent(span, new(AttemptEnd.Overloaded));
                telemetry.Decide(call, Decisions.Shed, "max_pending");
                return Unsent(call, AttemptEnd.Overloaded, MeshErrorCode.Overloaded, $"{cluster.Connections.MaxWaiting} calls wait for a connection to cluster '{cluster.Name}', which is its limit.");
            }

            watch = resilience is { WatchesAttempts: true } ? resilience.Watch(call, cancellationToken) : null;
            // Last: what measures the body stands around all else.
            telemetry.StartAttempt(call);
            response = await handler.SendAsync(call.Request, watch is null ? cancellationToken : watch.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            return Failed(call, endpoint, handler, start, span, watch, asked, e);
        }
        finally
        {
            call.UnmeasureBody();
            insideOnly?.Restore(call.Request);
            call.RestoreVersion(response);
        }

        return Answered(new OutboundAttempt(call, endpoint, handler, start, span), response, watch);
    }

    // How an attempt ends: apart from its state machine, which would keep what is needed here.
    private Outcome<HttpResponseMessage> Failed(OutboundCall call, OutboundEndpoint endpoint, EndpointHandler? handler, long start, Activity? span, AttemptWatch? watch, int asked, Exception e)
    {
        watch?.Dispose();
        call.UnmeasureBody();
        var expired = watch?.Expired;
        // Where a 100 is waited for the head goes out alone.
        var untouched = call.Request.Content is ReplayContent body && body.Asked == asked && call.Request.Headers.ExpectContinue is not true;
        call.Last = new AttemptResult(expired is null ? AttemptFailures.Classify(e, call.IsGivenUp || call.HasLost, untouched) : AttemptEnd.Timeout);
        if (handler is not null && call.Last.End == AttemptEnd.Overloaded)
        {
            endpoint.AttemptEnded();
            endpoint.Cluster.Limit.Exit();
            OutboundAttempt.LetGo(call, handler);
            EndUnsent(span, call.Last);
            telemetry.Decide(call, Decisions.Shed, "max_connections");
            return Unsent(call, AttemptEnd.Overloaded, MeshErrorCode.Overloaded, $"Cluster '{endpoint.Cluster.Name}' has {endpoint.Cluster.Connections.MaxOpen} connections, which is its limit, and none to {endpoint.Config.HostPort} is free.");
        }

        if (handler is not null)
        {
            new OutboundAttempt(call, endpoint, handler, start, span).End(call.Last);
        }
        else
        {
            endpoint.AttemptEnded();
            endpoint.Cluster.Limit.Exit();
            EndUnsent(span, call.Last);
        }

        return Outcome.FromException<HttpResponseMessage>(expired is null ? e : Expired(call, expired, e));
    }

    private static Outcome<HttpResponseMessage> Answered(OutboundAttempt attempt, HttpResponseMessage response, AttemptWatch? watch)
    {
        var call = attempt.Call;
        call.Last = new AttemptResult(AttemptEnd.Response, (int)response.StatusCode, call.IsGrpc ? OutboundErrors.GrpcStatus(response.Headers) : -1);
        attempt.Answered();
        attempt.Heed(response, call.Last);
        if (HasBody(call.Request, response))
        {
            response.Content = call.Body = new ResponseBody(attempt, call.Last, response, watch);
        }
        else
        {
            watch?.Dispose();
            attempt.ReadLoad(response);
            attempt.End(call.Last);
        }

        return Outcome.FromResult(response);
    }

    private TimeoutRejectedException Expired(OutboundCall call, string reason, Exception inner)
    {
        telemetry.Decide(call, Decisions.Timeout, reason);
        return new TimeoutRejectedException(reason == AttemptWatch.Idle ? "No byte of request or response moved for too long." : "No response headers came in time.", inner);
    }

    private async ValueTask<EndpointHandler?> AcquireAsync(OutboundEndpoint endpoint, bool http1Only, CancellationToken cancellationToken)
    {
        using var timed = new CancellationTokenSource(settings.ReadyTimeout, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timed.Token);
        try
        {
            await endpoint.WaitForIdentityAsync(linked.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return null;
        }

        return endpoint.TryAcquire(http1Only);
    }

    private static bool TryWait(OutboundCall call, EndpointHandler handler)
    {
        var http2 = call.Request.Version.Major >= 2;
        if (!handler.Connections.TryEnter(http2))
        {
            return false;
        }

        call.WaitsOverHttp2 = http2;
        return true;
    }

    private void EndUnsent(Activity? span, AttemptResult result)
    {
        if (span is not null)
        {
            telemetry.Spans.EndAttempt(span, result, 0);
        }
    }

    private static Outcome<HttpResponseMessage> Unsent(OutboundCall call, AttemptEnd end, MeshErrorCode code, string detail)
    {
        call.Last = new AttemptResult(end);
        return Outcome.FromResult(OutboundErrors.Respond(call.Request, call.IsGrpc, code, detail));
    }

    /// <summary>False when there is none to come (RFC 9110 §6.4.1): nobody need read or dispose such a response, so it ends here.</summary>
    private static bool HasBody(HttpRequestMessage request, HttpResponseMessage response) =>
        request.Method != HttpMethod.Head && response.StatusCode is not (HttpStatusCode.NoContent or HttpStatusCode.NotModified)
        && !(response.Content.Headers.NonValidated.TryGetValues("Content-Length", out var length) && length.ToString() == "0");
}
