using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Records each call once under .NET's own names and in our aggregate, and each attempt in ours (contracts §7). Outermost: it sees what the app sees.</summary>
/// <remarks>A call's span is the one client span; its attempts are internal spans below it, so that nobody counts a call twice.</remarks>
internal sealed class TelemetryStep : IDisposable
{
    private static readonly ActivitySource Source = new("System.Net.Http");
    private static readonly ActivitySource AttemptSource = new(MeshTags.ActivitySource);
    private readonly Meter _httpMeter;
    private readonly Meter _meshMeter;
    private readonly Histogram<double> _requestDuration;
    private readonly Histogram<double> _attemptDuration;
    private readonly DecisionCounter _decisions;
    private readonly TimeProvider _time;

    /// <param name="meters">Null makes meters of its own.</param>
    public TelemetryStep(IMeterFactory? meters, TimeProvider time)
    {
        _time = time;
        _decisions = new DecisionCounter(meters, MeshTags.ClientDecisions);
        _httpMeter = meters?.Create(new MeterOptions("System.Net.Http")) ?? new Meter("System.Net.Http");
        _meshMeter = meters?.Create(new MeterOptions("Mesh")) ?? new Meter("Mesh");
        // Boundaries of the semantic convention http.client.request.duration.
        var advice = new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] };
        _requestDuration = _httpMeter.CreateHistogram("http.client.request.duration", "s", "Duration of HTTP client requests.", null, advice);
        _attemptDuration = _meshMeter.CreateHistogram(MeshTags.ClientAttemptDuration, "s", "Duration of the attempts of outbound calls.", null, advice);
    }

    /// <summary>For decisions that no single call stands behind.</summary>
    public DecisionCounter DecisionCounter => _decisions;

    /// <summary>Starts the call's span, when somebody listens, and hands its context on.</summary>
    public static void StartCall(OutboundCall call)
    {
        var request = call.Request;
        if (Source.HasListeners())
        {
            // The caller's current activity stays current: the span belongs to the call, and its body may outlive this method.
            var current = Activity.Current;
            call.Activity = Source.StartActivity("System.Net.Http.HttpRequestOut", ActivityKind.Client);
            Activity.Current = current;
            if (call.Activity is { IsAllDataRequested: true } activity)
            {
                activity.DisplayName = request.Method.Method;
                activity.SetTag("http.request.method", request.Method.Method);
                activity.SetTag("server.address", request.RequestUri!.Host);
                activity.SetTag("server.port", request.RequestUri.Port);
                activity.SetTag("url.full", request.RequestUri.GetLeftPart(UriPartial.Path));
            }
        }

        if ((call.Activity ?? Activity.Current) is { } context)
        {
            (call.Trace = new TraceHeaders()).Inject(context, request.Headers);
        }
    }

    /// <summary>Starts the span of an attempt, when somebody listens, and hands its context on in place of the call's.</summary>
    /// <param name="why">What came of the attempt before it; null for the first.</param>
    public static Activity? StartAttempt(OutboundCall call, OutboundEndpoint endpoint, string? why = null)
    {
        if (!AttemptSource.HasListeners())
        {
            return null;
        }

        var current = Activity.Current;
        var attempt = AttemptSource.StartActivity(MeshTags.AttemptSpan, ActivityKind.Internal, (call.Activity ?? current)?.Context ?? default);
        Activity.Current = current;
        if (attempt is { IsAllDataRequested: true })
        {
            attempt.SetTag(MeshTags.Attempt, call.Attempts);
            attempt.SetTag(MeshTags.Reason, why ?? (call.Attempts == 1 ? "first" : CallRetries.Reason(call.Last)));
            attempt.SetTag(MeshTags.Cluster, endpoint.Cluster.Name);
            attempt.SetTag(MeshTags.Endpoint, endpoint.Config.HostPort);
            attempt.SetTag(MeshTags.Tls, endpoint.IsMesh ? "mesh" : "none");
            (call.Trace ??= new TraceHeaders()).Inject(attempt, call.Request.Headers);
        }

        return attempt;
    }

    /// <summary>The response of a call ended, or there was none.</summary>
    public void EndCall(OutboundCall call, AttemptResult result, int httpStatus, Version? version)
    {
        var duration = _time.GetElapsedTime(call.Start);
        call.Listener.Destination?.RecordCall(duration, Verdicts.Of(result), call.LastWasMesh);
        if (_requestDuration.Enabled)
        {
            var uri = call.Request.RequestUri!;
            var tags = new TagList
            {
                { "http.request.method", call.Request.Method.Method },
                { "server.address", uri.Host },
                { "server.port", uri.Port },
                { "url.scheme", uri.Scheme },
            };
            if (httpStatus > 0)
            {
                tags.Add("http.response.status_code", httpStatus);
                tags.Add("network.protocol.version", version is { Major: >= 2 } ? "2" : "1.1");
            }

            if (ErrorType(result) is { } error)
            {
                tags.Add("error.type", error);
            }

            _requestDuration.Record(duration.TotalSeconds, tags);
        }

        if (call.Activity is { } activity)
        {
            if (activity.IsAllDataRequested)
            {
                if (call.Attempts > 1)
                {
                    activity.SetTag("http.request.resend_count", call.Attempts - 1);
                }

                activity.SetTag(MeshTags.Route, call.Route?.Config.Name);
                activity.SetTag(MeshTags.Cluster, call.Cluster?.Name);
                activity.SetTag(MeshTags.Endpoint, call.Endpoint?.Config.HostPort);
                activity.SetTag(MeshTags.Attempts, call.Attempts);
            }

            EndSpan(activity, result, httpStatus);
        }
    }

    /// <summary>The mesh decided something about a call: counted, and an event of its span.</summary>
    /// <param name="decision">One of <see cref="Decisions"/>.</param>
    /// <param name="reason">See there.</param>
    public void Decide(OutboundCall call, string decision, string reason)
    {
        _decisions.Count(decision, reason, call.Listener.Destination?.Service ?? string.Empty);
        Mark(call, decision, reason);
    }

    /// <summary>Only an event of the call's span: whoever decided has counted it.</summary>
    public static void Mark(OutboundCall call, string decision, string reason)
    {
        if (call.Activity is { IsAllDataRequested: true } activity)
        {
            activity.AddEvent(new ActivityEvent(decision, tags: new ActivityTagsCollection { [MeshTags.Reason] = reason }));
        }
    }

    /// <param name="span">What <see cref="StartAttempt"/> gave.</param>
    public void EndAttempt(OutboundCall call, OutboundEndpoint endpoint, AttemptResult result, TimeSpan duration, Activity? span)
    {
        if (span is not null)
        {
            EndSpan(span, result, result.HttpStatus);
        }

        if (call.Listener.Destination is { } destination)
        {
            var verdict = Verdicts.Of(result);
            endpoint.SeriesFor(destination).Record(duration, verdict, result.End != AttemptEnd.ConnectFailure);
            if (_attemptDuration.Enabled)
            {
                _attemptDuration.Record(
                    duration.TotalSeconds,
                    new(MeshTags.Destination, destination.Service),
                    new(MeshTags.Backend, endpoint.Cluster.Service),
                    new(MeshTags.Outcome, verdict.Tag()));
            }
        }
    }

    public void Dispose()
    {
        _httpMeter.Dispose();
        _decisions.Dispose();
        _meshMeter.Dispose();
    }

    /// <summary>Ends a span where the response ends, in whatever flow that is: the app's own current span stays.</summary>
    public static void EndSpan(Activity span, AttemptResult result, int httpStatus)
    {
        if (span.IsAllDataRequested)
        {
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

        var current = Activity.Current;
        span.Dispose();
        if (current is not { IsStopped: true })
        {
            Activity.Current = current;
        }
    }

    private static string? ErrorType(AttemptResult result) => result.End switch
    {
        AttemptEnd.Response => result.HttpStatus >= 400 ? result.HttpStatus.ToString(System.Globalization.CultureInfo.InvariantCulture)
            : AttemptResult.IsGrpcFailure(result.GrpcStatus) ? "grpc_" + result.GrpcStatus.ToString(System.Globalization.CultureInfo.InvariantCulture) : null,
        AttemptEnd.ConnectFailure => "connection_error",
        AttemptEnd.Refused or AttemptEnd.Reset => "response_ended",
        AttemptEnd.Timeout => "timeout",
        AttemptEnd.Cancelled => "cancelled",
        _ => "unavailable",
    };
}
