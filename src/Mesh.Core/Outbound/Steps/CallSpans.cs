using System.Diagnostics;
using System.Globalization;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>The spans of a call and its attempts, under .NET's own source and in ours (contracts §7).</summary>
/// <remarks>
/// A call's span is the one client span; its attempts are internal spans below it, so that nobody counts a call twice. Over a gRPC channel that makes a span of its own, that one is the call's.
/// Where the app has a tracer it alone decides which spans there are, and hears of each once; the mesh takes a copy. Where it has none, spans that only the mesh wants are without a source: no tracer hears of them.
/// A span that only the mesh knows is never put between two that the app's tracer knows: that one's tree stays whole.
/// </remarks>
/// <param name="recorder">Null records nothing for the mesh itself.</param>
internal sealed class CallSpans(SpanRecorder? recorder)
{
    /// <summary>Of Grpc.Net.Client, below which its calls come to us.</summary>
    private const string GrpcSpan = "Grpc.Net.Client.GrpcOut";

    private const string CallSpan = "System.Net.Http.HttpRequestOut";
    private static readonly ActivitySource Source = new("System.Net.Http");
    private static readonly ActivitySource AttemptSource = new(MeshTags.ActivitySource);
    private readonly SpanRecorder? _recorder = recorder is { IsOn: true } ? recorder : null;

    /// <summary>Starts the call's span, when somebody listens, and hands its context on.</summary>
    public void StartCall(OutboundCall call)
    {
        var flow = Activity.Current;
        // A gRPC channel makes one also where nobody wants it: a span below that would be below nothing.
        var current = flow is { OperationName: GrpcSpan } && OwnSpans.IsOwn(flow) ? flow.Parent : flow;
        if (current is { OperationName: GrpcSpan })
        {
            call.Activity = current;
        }
        else if (Source.HasListeners())
        {
            // The caller's current activity stays current: the span belongs to the call, and its body may outlive this method.
            Activity.Current = current;
            call.Activity = Source.StartActivity(CallSpan, ActivityKind.Client);
            Activity.Current = flow;
        }
        else if (_recorder is not null)
        {
            call.Activity = OwnSpans.StartCall(_recorder, CallSpan, call.Request.Headers, current, out var format);
            if (call.Activity is { } own && current is null && _recorder.ContinuesRequests)
            {
                // What came with the request is the parent now: it must not go on beside the span's own.
                TraceHeaders.RemoveContext(call.Request.Headers);
                (call.Trace = new TraceHeaders(format)).Inject(own, call.Request.Headers);
            }
        }

        if (call.Activity is { IsAllDataRequested: true } activity && activity != current)
        {
            Describe(activity, call.Request);
        }

        if (call.Trace is null && ((call.Activity is { } span && GoesOn(span, current) ? span : null) ?? current) is { } context)
        {
            (call.Trace = new TraceHeaders()).Inject(context, call.Request.Headers);
        }
    }

    /// <summary>Starts the span of an attempt, when somebody listens, and hands its context on in place of the call's.</summary>
    /// <param name="why">What came of the attempt before it; null for the first.</param>
    public Activity? StartAttempt(OutboundCall call, OutboundEndpoint endpoint, string? why = null)
    {
        var listens = AttemptSource.HasListeners();
        if (!listens && (_recorder is null || call.Activity is not { Recorded: true }))
        {
            return null;
        }

        var current = Activity.Current;
        var attempt = listens
            ? AttemptSource.StartActivity(MeshTags.AttemptSpan, ActivityKind.Internal, (call.Activity ?? current)?.Context ?? default)
            : OwnSpans.Start(MeshTags.AttemptSpan, call.Activity!);
        Activity.Current = current;
        if (attempt is { IsAllDataRequested: true })
        {
            attempt.SetTag(MeshTags.Attempt, call.Attempts);
            attempt.SetTag(MeshTags.Reason, why ?? (call.Attempts == 1 ? "first" : CallRetries.Reason(call.Last)));
            attempt.SetTag(MeshTags.Cluster, endpoint.Cluster.Name);
            attempt.SetTag(MeshTags.Endpoint, endpoint.Config.HostPort);
            attempt.SetTag(MeshTags.Tls, endpoint.IsMesh ? "mesh" : "none");
            if (listens || (OwnSpans.IsOwn(call.Activity!) && GoesOn(call.Activity!, current)))
            {
                (call.Trace ??= new TraceHeaders()).Inject(attempt, call.Request.Headers);
            }
        }

        return attempt;
    }

    /// <summary>The attempt ended: in whatever flow that is, the app's own current span stays.</summary>
    public void EndAttempt(Activity span, AttemptResult result, int httpStatus)
    {
        Outcome(span, result, httpStatus);
        OwnSpans.Stop(span);
        if (_recorder is not null && span.Recorded)
        {
            _recorder.Record(new FinishedSpan(span, MeshTags.AttemptSpan, ActivityKind.Internal, span.StartTimeUtc, span.Duration, ErrorType(result) is not null));
        }
    }

    /// <summary>The response of a call ended, or there was none.</summary>
    public void EndCall(OutboundCall call, AttemptResult result, int httpStatus, TimeSpan duration)
    {
        if (call.Activity is not { } activity)
        {
            if (_recorder is not null && _recorder.WantsLate(result.IsFailure, duration))
            {
                EndLate(_recorder, call, result, httpStatus, duration);
            }

            return;
        }

        Summarize(activity, call);
        Outcome(activity, result, httpStatus);
        var isGrpcs = activity.OperationName == GrpcSpan;
        if (!isGrpcs)
        {
            OwnSpans.Stop(activity);
        }

        if (_recorder is not null && activity.Recorded)
        {
            _recorder.Record(new FinishedSpan(activity, Name(call), ActivityKind.Client, activity.StartTimeUtc, isGrpcs ? duration : activity.Duration, ErrorType(result) is not null));
        }
    }

    /// <summary>Only an event of the call's span: whoever decided has counted it.</summary>
    public static void Mark(OutboundCall call, string decision, string reason)
    {
        if (call.Activity is { IsAllDataRequested: true } activity)
        {
            activity.AddEvent(new ActivityEvent(decision, tags: new ActivityTagsCollection { [MeshTags.Reason] = reason }));
        }
    }

    /// <summary>Null when it did not fail.</summary>
    public static string? ErrorType(AttemptResult result) => result.End switch
    {
        AttemptEnd.Response => result.HttpStatus >= 400 ? result.HttpStatus.ToString(CultureInfo.InvariantCulture)
            : AttemptResult.IsGrpcFailure(result.GrpcStatus) ? "grpc_" + result.GrpcStatus.ToString(CultureInfo.InvariantCulture) : null,
        AttemptEnd.ConnectFailure => "connection_error",
        AttemptEnd.Refused or AttemptEnd.Reset => "response_ended",
        AttemptEnd.Timeout => "timeout",
        AttemptEnd.Cancelled => "cancelled",
        _ => "unavailable",
    };

    /// <summary>A span goes into headers unless only the mesh knows it and the app's tracer knows the one above it.</summary>
    private static bool GoesOn(Activity span, Activity? current) => !OwnSpans.IsOwn(span) || current is null || current.Source.Name.Length == 0;

    private static void EndLate(SpanRecorder recorder, OutboundCall call, AttemptResult result, int httpStatus, TimeSpan duration)
    {
        if (OwnSpans.StartLate(recorder, CallSpan, call.Trace?.Context, call.Request.Headers, duration) is not { } span)
        {
            return;
        }

        Describe(span, call.Request);
        Summarize(span, call);
        Outcome(span, result, httpStatus);
        span.SetTag(MeshTags.Late, true);
        recorder.Record(new FinishedSpan(span, Name(call), ActivityKind.Client, span.StartTimeUtc, duration, ErrorType(result) is not null));
    }

    private static void Describe(Activity span, HttpRequestMessage request)
    {
        span.DisplayName = request.Method.Method;
        span.SetTag("http.request.method", request.Method.Method);
        span.SetTag("server.address", request.RequestUri!.Host);
        span.SetTag("server.port", request.RequestUri.Port);
        span.SetTag("url.full", request.RequestUri.GetLeftPart(UriPartial.Path));
    }

    private static void Summarize(Activity span, OutboundCall call)
    {
        if (!span.IsAllDataRequested)
        {
            return;
        }

        if (call.Attempts > 1)
        {
            span.SetTag("http.request.resend_count", call.Attempts - 1);
        }

        span.SetTag(MeshTags.Route, call.Route?.Config.Name);
        span.SetTag(MeshTags.Cluster, call.Cluster?.Name);
        span.SetTag(MeshTags.Endpoint, call.Endpoint?.Config.HostPort);
        span.SetTag(MeshTags.Attempts, call.Attempts);
    }

    private static void Outcome(Activity span, AttemptResult result, int httpStatus)
    {
        if (!span.IsAllDataRequested)
        {
            return;
        }

        if (httpStatus > 0)
        {
            span.SetTag("http.response.status_code", httpStatus);
        }

        if (result.GrpcStatus >= 0)
        {
            span.SetTag("rpc.grpc.status_code", result.GrpcStatus);
        }

        if (ErrorType(result) is { } error)
        {
            span.SetTag("error.type", error);
            span.SetStatus(ActivityStatusCode.Error);
        }
    }

    /// <summary>gRPC's methods are few and tell what was called; paths are many, so elsewhere it is the method and whom it went to.</summary>
    private static string Name(OutboundCall call) => call.IsGrpc
        ? call.Request.RequestUri!.AbsolutePath.TrimStart('/')
        : $"{call.Request.Method.Method} {call.Listener.Destination?.Service ?? call.Request.RequestUri!.Host}";
}
