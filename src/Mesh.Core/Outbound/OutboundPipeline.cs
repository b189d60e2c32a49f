using System.Diagnostics;
using System.Net;
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
internal sealed class OutboundPipeline(
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

    /// <summary>Whether calls to this host are the mesh's; a new name is asked for, and waited for as a call would.</summary>
    public ValueTask<HostAnswer> ResolveAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri is not { IsAbsoluteUri: true } uri)
        {
            return new(new HostAnswer(false));
        }

        var key = ListenerKey.Of(uri);
        return tables.Current.Find(key) switch
        {
            { Host: not null } => new(new HostAnswer(true)),
            { PassesThrough: true } => new(new HostAnswer(false)),
            null when !ServiceNames.CanBeService(uri, settings.ClusterDomain) => new(new HostAnswer(false)),
            _ => new(AskHostAsync(request, key, cancellationToken)),
        };
    }

    /// <summary>Calls to this host are known to be the mesh's.</summary>
    public bool IsMeshed(Uri uri) => tables.Current.Find(ListenerKey.Of(uri)) is { Host: not null };

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
        var span = TelemetryStep.StartAttempt(call, endpoint, call.IsHedge ? Decisions.Hedge : null);
        endpoint.AttemptStarted();
        var http1Only = !call.ApplyVersion(endpoint.Config);
        call.AsksForLoad |= InBandLoad.Ask(call.Request, cluster.Config);
        var start = time.GetTimestamp();
        EndpointHandler? handler = null;
        HttpResponseMessage? response = null;
        AttemptWatch? watch = null;
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
            response = await handler.SendAsync(call.Request, watch is null ? cancellationToken : watch.Token).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            return Failed(call, endpoint, handler, start, span, watch, e);
        }
        finally
        {
            call.RestoreVersion(response);
        }

        return Answered(new OutboundAttempt(call, endpoint, handler, start, span), response, watch);
    }

    /// <summary>Ends what goes on beside calls.</summary>
    public void Dispose() => _mirror.Dispose();

    public ValueTask DisposeAsync() => _mirror.DisposeAsync();

    // How an attempt ends: apart from its state machine, which would keep what is needed here.
    private Outcome<HttpResponseMessage> Failed(OutboundCall call, OutboundEndpoint endpoint, EndpointHandler? handler, long start, Activity? span, AttemptWatch? watch, Exception e)
    {
        watch?.Dispose();
        var expired = watch?.Expired;
        call.Last = new AttemptResult(expired is null ? AttemptFailures.Classify(e, call.Cancelled.IsCancellationRequested || call.HasLost) : AttemptEnd.Timeout);
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
        TelemetryStep.StartCall(call);
        if (_route.Route(call) is { } answer)
        {
            call.Commit();
            telemetry.EndCall(call, new(AttemptEnd.Response, (int)answer.StatusCode, call.IsGrpc ? OutboundErrors.GrpcStatus(answer.Headers) : -1), (int)answer.StatusCode, answer.Version);
            return answer;
        }

        _limits.Look(call);
        if (call.Target!.Faults is { } faults && await FaultStep.InjectAsync(call, faults).ConfigureAwait(false) is { } fault)
        {
            call.Commit();
            telemetry.EndCall(call, call.Last, (int)fault.StatusCode, fault.Version);
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
            telemetry.EndCall(call, call.Last, (int)response.StatusCode, response.Version);
        }
        else if (left is not null)
        {
            body.ArmDeadline(time, left.Value, call.Deadline?.Left <= left ? "deadline" : "request");
        }

        return response;
    }

    /// <summary>The name is new: asks, then sends where it belongs.</summary>
    private async Task<HttpResponseMessage> AskAsync(HttpRequestMessage request, ListenerKey key, HttpMessageInvoker passThrough, CallLimits? limits, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        var (listener, refusal) = await AskNameAsync(request, key, limits, cancellationToken).ConfigureAwait(false);
        if (refusal is not null)
        {
            return refusal;
        }

        return listener is null
            ? await passThrough.SendAsync(request, cancellationToken).ConfigureAwait(false)
            : await StartAsync(request, listener, start, limits, cancellationToken).ConfigureAwait(false);
    }

    private async Task<HostAnswer> AskHostAsync(HttpRequestMessage request, ListenerKey key, CancellationToken cancellationToken)
    {
        var (listener, refusal) = await AskNameAsync(request, key, limits: null, cancellationToken).ConfigureAwait(false);
        return new HostAnswer(listener is not null, refusal);
    }

    /// <summary>Asks, and waits as long as the call may, at most 10 s (contracts §5). No listener and no refusal: the name is none of the mesh's.</summary>
    private async Task<(OutboundListener? Listener, HttpResponseMessage? Refusal)> AskNameAsync(HttpRequestMessage request, ListenerKey key, CallLimits? limits, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var deadline = Deadline.Current;
        var patience = limits?.Timeout < settings.ReadyTimeout ? limits.Timeout.Value : settings.ReadyTimeout;
        patience = deadline is not null && deadline.Left < patience ? TimeSpan.FromTicks(Math.Max(0, deadline.Left.Ticks)) : patience;
        OutboundListener? listener;
        switch (tables.Names.Enter(key, ServiceNames.IsServiceForCertain(key.Host, settings.ClusterDomain), out var name))
        {
            case AskResult.PassOn:
                return default;
            case AskResult.Refused:
                return (null, Unknown(request, $"'{key.Name}' was not asked for: {AskedNames.MaxServices} services are in use, which is the limit. Unused ones are forgotten after {AskedNames.KeepServices.TotalMinutes:0} minutes."));
        }

        try
        {
            listener = await tables.WaitForAsync(key, patience, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            tables.Names.Leave(name!);
        }

        if (listener is { PassesThrough: true })
        {
            return default;
        }

        if (listener is { Unavailable: null })
        {
            return (listener, null);
        }

        var why = listener?.Unavailable ?? "the control plane has not answered; check its address, and that this workload got its certificate";
        return (null, Unknown(
            request,
            $"No configuration for '{key.Name}' within {patience.TotalSeconds:0.#} s: {why}.",
            deadline is { IsOver: true } ? MeshErrorCode.DeadlineExceeded : MeshErrorCode.NoConfiguration));
    }

    private TimeoutRejectedException Expired(OutboundCall call, string reason, Exception inner)
    {
        telemetry.Decide(call, Decisions.Timeout, reason);
        return new TimeoutRejectedException(reason == AttemptWatch.Idle ? "No byte of request or response moved for too long." : "No response headers came in time.", inner);
    }

    private static HttpResponseMessage Unknown(HttpRequestMessage request, string detail, MeshErrorCode code = MeshErrorCode.NoConfiguration) =>
        OutboundErrors.Respond(request, new HttpRequestMessageHead(request).IsGrpc, code, detail);

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

    private static void EndUnsent(Activity? span, AttemptResult result)
    {
        if (span is not null)
        {
            TelemetryStep.EndSpan(span, result, 0);
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

/// <summary>Where calls to a host go.</summary>
/// <param name="IsMeshed">Through the mesh.</param>
/// <param name="Refusal">Nowhere: this is the answer.</param>
internal readonly record struct HostAnswer(bool IsMeshed, HttpResponseMessage? Refusal = null);
