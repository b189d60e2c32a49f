using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Records each call once under .NET's own names and in our aggregate, and each attempt in ours (contracts §7). Outermost: it sees what the app sees.</summary>
internal sealed class TelemetryStep : IDisposable
{
    private static readonly ActivitySource Source = new("System.Net.Http");
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
            DistributedContextPropagator.Current.Inject(context, request, static (carrier, name, value) =>
            {
                var headers = ((HttpRequestMessage)carrier!).Headers;
                if (!headers.NonValidated.Contains(name))
                {
                    headers.TryAddWithoutValidation(name, value);
                }
            });
        }
    }

    /// <summary>The response of a call ended, or there was none.</summary>
    public void EndCall(OutboundCall call, AttemptResult result, int httpStatus, Version? version)
    {
        var failed = result.IsFailure || result.End == AttemptEnd.Cancelled;
        var duration = _time.GetElapsedTime(call.Start);
        call.Listener.Destination?.RecordCall(duration, failed, call.LastWasMesh);
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

            if (ErrorType(result, httpStatus) is { } error)
            {
                tags.Add("error.type", error);
            }

            _requestDuration.Record(duration.TotalSeconds, tags);
        }

        if (call.Activity is { } activity)
        {
            if (httpStatus > 0)
            {
                activity.SetTag("http.response.status_code", httpStatus);
            }

            if (call.Attempts > 1)
            {
                activity.SetTag("http.request.resend_count", call.Attempts - 1);
            }

            if (ErrorType(result, httpStatus) is { } error)
            {
                activity.SetTag("error.type", error);
                activity.SetStatus(ActivityStatusCode.Error);
            }

            activity.Dispose();
        }
    }

    /// <summary>The mesh decided something about a call: counted, and an event of its span.</summary>
    /// <param name="decision">One of <see cref="Decisions"/>.</param>
    /// <param name="reason">See there.</param>
    public void Decide(OutboundCall call, string decision, string reason)
    {
        _decisions.Count(decision, reason, call.Listener.Destination?.Service ?? string.Empty);
        if (call.Activity is { IsAllDataRequested: true } activity)
        {
            activity.AddEvent(new ActivityEvent(decision, tags: new ActivityTagsCollection { [MeshTags.Reason] = reason }));
        }
    }

    public void EndAttempt(OutboundCall call, OutboundEndpoint endpoint, AttemptResult result, TimeSpan duration)
    {
        var failed = result.IsFailure || result.End == AttemptEnd.Cancelled;
        // One that was cancelled because another was first says nothing of its endpoint.
        if (call.Listener.Destination is { } destination && !(call.HasLost && result.End == AttemptEnd.Cancelled))
        {
            endpoint.SeriesFor(destination).Record(duration, failed, result.End != AttemptEnd.ConnectFailure);
            if (_attemptDuration.Enabled)
            {
                _attemptDuration.Record(
                    duration.TotalSeconds,
                    new(MeshTags.Destination, destination.Service),
                    new(MeshTags.Backend, endpoint.Cluster.Service),
                    new(MeshTags.Outcome, failed ? MeshTags.Failure : MeshTags.Success));
            }
        }
    }

    public void Dispose()
    {
        _httpMeter.Dispose();
        _decisions.Dispose();
        _meshMeter.Dispose();
    }

    private static string? ErrorType(AttemptResult result, int httpStatus) => result.End switch
    {
        AttemptEnd.Response => httpStatus >= 400 ? httpStatus.ToString(System.Globalization.CultureInfo.InvariantCulture)
            : AttemptResult.IsGrpcFailure(result.GrpcStatus) ? "grpc_" + result.GrpcStatus.ToString(System.Globalization.CultureInfo.InvariantCulture) : null,
        AttemptEnd.ConnectFailure => "connection_error",
        AttemptEnd.Refused or AttemptEnd.Reset => "response_ended",
        AttemptEnd.Timeout => "timeout",
        AttemptEnd.Cancelled => "cancelled",
        _ => "unavailable",
    };
}
