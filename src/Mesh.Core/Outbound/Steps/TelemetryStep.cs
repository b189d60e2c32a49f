using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Resilience;
using Mesh.Tap;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>Records each call once under .NET's own names and in our aggregate, and each attempt in ours (contracts §7). Outermost: it sees what the app sees.</summary>
/// <remarks>Spans are <see cref="CallSpans"/>'.</remarks>
internal sealed class TelemetryStep : IDisposable
{
    private readonly Meter _httpMeter;
    private readonly Meter _meshMeter;
    private readonly Histogram<double> _requestDuration;
    private readonly Histogram<double> _attemptDuration;
    private readonly DecisionCounter _decisions;
    private readonly GrpcCallMetrics _grpc;
    private readonly TimeProvider _time;
    private readonly TapPoint? _taps;

    /// <param name="meters">Null makes meters of its own.</param>
    /// <param name="recorder">Takes spans for the mesh itself; null is nobody.</param>
    /// <param name="taps">Who looks at calls; null: nobody ever does.</param>
    public TelemetryStep(IMeterFactory? meters, TimeProvider time, SpanRecorder? recorder = null, TapPoint? taps = null)
    {
        (_time, _taps) = (time, taps);
        Spans = new CallSpans(recorder);
        _decisions = new DecisionCounter(meters, MeshTags.ClientDecisions);
        _httpMeter = meters?.Create(new MeterOptions("System.Net.Http")) ?? new Meter("System.Net.Http");
        _meshMeter = meters?.Create(new MeterOptions("Mesh")) ?? new Meter("Mesh");
        // Boundaries of the semantic convention http.client.request.duration.
        var advice = new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] };
        _requestDuration = _httpMeter.CreateHistogram("http.client.request.duration", "s", "Duration of HTTP client requests.", null, advice);
        _attemptDuration = _meshMeter.CreateHistogram(MeshTags.ClientAttemptDuration, "s", "Duration of the attempts of outbound calls.", null, advice);
        _grpc = new GrpcCallMetrics(_meshMeter);
        Subchannels = new SubchannelMetrics(_meshMeter);
    }

    public CallSpans Spans { get; }

    /// <summary>For decisions that no single call stands behind.</summary>
    public DecisionCounter DecisionCounter => _decisions;

    /// <summary>For connections, which no call stands behind either.</summary>
    public SubchannelMetrics Subchannels { get; }

    /// <summary>A gRPC call waits for another attempt, and somebody wants to know how long.</summary>
    public bool TimesWaits(OutboundCall call) => call.IsGrpc && _grpc.TimesWaits;

    /// <summary>An endpoint was chosen for an attempt.</summary>
    public void StartAttempt(OutboundCall call) => _grpc.StartAttempt(call);

    /// <summary>A call begins: its span, and whoever taps, know of it.</summary>
    public void BeginCall(OutboundCall call)
    {
        Spans.StartCall(call);
        if (_taps?.Taps is { } taps)
        {
            TappedCall.Begin(_taps, taps, call);
        }
    }

    /// <summary>The response of a call ended, or there was none.</summary>
    /// <param name="response">For those who look; null when there is none.</param>
    public void EndCall(OutboundCall call, AttemptResult result, int httpStatus, Version? version, HttpResponseMessage? response = null)
    {
        var duration = _time.GetElapsedTime(call.Start);
        call.Series?.RecordCall(duration, Verdicts.Of(result), call.LastWasMesh, call.Activity);
        _grpc.EndCall(call, result, duration);
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

            if (CallSpans.ErrorType(result) is { } error)
            {
                tags.Add("error.type", error);
            }

            _requestDuration.Record(duration.TotalSeconds, tags);
        }

        Spans.EndCall(call, result, httpStatus, duration);
        call.Open?.End();
        if (_taps?.Taps is { } taps)
        {
            TappedCall.Show(_taps, taps, call, result, httpStatus, duration, CallSpans.ErrorType(result), response);
        }
    }

    /// <summary>The mesh decided something about a call: counted, and an event of its span.</summary>
    /// <param name="decision">One of <see cref="Decisions"/>.</param>
    /// <param name="reason">See there.</param>
    public void Decide(OutboundCall call, string decision, string reason)
    {
        _decisions.Count(decision, reason, call.Listener.Destination?.Service ?? string.Empty, call.Listener.Destination?.Namespace ?? string.Empty);
        CallSpans.Mark(call, decision, reason);
    }

    /// <param name="span">What <see cref="CallSpans.StartAttempt"/> gave.</param>
    public void EndAttempt(OutboundCall call, OutboundEndpoint endpoint, AttemptResult result, TimeSpan duration, Activity? span)
    {
        if (span is not null)
        {
            Spans.EndAttempt(span, result, result.HttpStatus);
        }

        _grpc.EndAttempt(call, endpoint, result, duration);
        if (call.Series is { } series)
        {
            var verdict = Verdicts.Of(result);
            endpoint.SeriesFor(series).Record(duration, verdict, result.End != AttemptEnd.ConnectFailure, span);
            if (_attemptDuration.Enabled)
            {
                _attemptDuration.Record(
                    duration.TotalSeconds,
                    new(MeshTags.Destination, series.Destination.Service),
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
}
