using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>gRPC calls under gRPC's own names (gRFC A66, A96) and those of the semantic conventions: for a host's OpenTelemetry provider. Nobody listens: nothing is done. Thread-safe.</summary>
/// <remarks>Started attempts are a counter, which the mesh itself listens to: counting one takes no memory.</remarks>
internal sealed class GrpcCallMetrics
{
    /// <summary>Methods that are told apart.</summary>
    private const int MaxMethods = 500;

    private readonly BoundedNames _methods = new(MaxMethods);
    private readonly Counter<long> _started;
    private readonly Histogram<double> _attempts;
    private readonly Histogram<long> _sent;
    private readonly Histogram<long> _received;
    private readonly Histogram<double> _calls;
    private readonly Histogram<double> _rpcCalls;
    private readonly Histogram<long> _retries;
    private readonly Histogram<long> _hedges;
    private readonly Histogram<double> _retryDelay;

    public GrpcCallMetrics(Meter meter)
    {
        _started = meter.CreateCounter<long>(GrpcTags.ClientAttemptStarted, "{attempt}", "Attempts of gRPC calls that were begun, those that have not ended included.");
        _sent = meter.CreateHistogram(GrpcTags.ClientAttemptSent, "By", "Messages that one attempt of a gRPC call sent, as they were sent and without framing.", null, GrpcBuckets.Sizes);
        _received = meter.CreateHistogram(GrpcTags.ClientAttemptReceived, "By", "Messages that one attempt of a gRPC call got, as they came and without framing.", null, GrpcBuckets.Sizes);
        _retryDelay = meter.CreateHistogram(GrpcTags.ClientCallRetryDelay, "s", "How long no attempt ran between those of a gRPC call that had retries.", null, GrpcBuckets.Latency);
        _attempts = meter.CreateHistogram(GrpcTags.ClientAttemptDuration, "s", "Duration of one attempt of a gRPC call.", null, GrpcBuckets.Latency);
        _calls = meter.CreateHistogram(GrpcTags.ClientCallDuration, "s", "Duration of a gRPC call as the application sees it, its retries included.", null, GrpcBuckets.Latency);
        _rpcCalls = meter.CreateHistogram(GrpcTags.RpcClientCallDuration, "s", "Duration of an outgoing RPC.", null, GrpcBuckets.Latency);
        _retries = meter.CreateHistogram(GrpcTags.ClientCallRetries, "{retry}", "Retries of the calls that had any.", null, GrpcBuckets.Again);
        _hedges = meter.CreateHistogram(GrpcTags.ClientCallHedges, "{hedge}", "Hedges of the calls that had any.", null, GrpcBuckets.Again);
    }

    /// <summary>Somebody wants to know how long calls wait for their retries.</summary>
    public bool TimesWaits => _retryDelay.Enabled;

    /// <summary>An endpoint was chosen. Measures what is sent and received from here on, where somebody wants to know.</summary>
    public void StartAttempt(OutboundCall call)
    {
        if (!call.IsGrpc)
        {
            return;
        }

        if (_started.Enabled)
        {
            _started.Add(1, new(GrpcTags.Method, MethodOf(call)), new(GrpcTags.Target, TargetOf(call)));
        }

        if (_sent.Enabled || _received.Enabled)
        {
            call.MeasureBody();
        }
    }

    public void EndAttempt(OutboundCall call, OutboundEndpoint endpoint, AttemptResult result, TimeSpan duration)
    {
        if (call.IsGrpc && _attempts.Enabled)
        {
            _attempts.Record(
                duration.TotalSeconds,
                new(GrpcTags.Method, MethodOf(call)),
                new(GrpcTags.Target, TargetOf(call)),
                new(GrpcTags.Status, StatusOf(result)),
                new(GrpcTags.BackendService, endpoint.Cluster.Name));
        }

        if (call.Sizes is { } sizes)
        {
            Record(_sent, sizes.Sent.Total);
            Record(_received, sizes.Received.Total);
        }

        void Record(Histogram<long> histogram, long size)
        {
            if (histogram.Enabled)
            {
                histogram.Record(
                    size,
                    new(GrpcTags.Method, MethodOf(call)),
                    new(GrpcTags.Target, TargetOf(call)),
                    new(GrpcTags.Status, StatusOf(result)),
                    new(GrpcTags.BackendService, endpoint.Cluster.Name));
            }
        }
    }

    public void EndCall(OutboundCall call, AttemptResult result, TimeSpan duration)
    {
        if (!call.IsGrpc)
        {
            return;
        }

        if (_calls.Enabled)
        {
            _calls.Record(duration.TotalSeconds, new(GrpcTags.Method, MethodOf(call)), new(GrpcTags.Target, TargetOf(call)), new(GrpcTags.Status, StatusOf(result)));
        }

        if (_rpcCalls.Enabled)
        {
            var status = StatusOf(result);
            var tags = new TagList
            {
                { GrpcTags.RpcSystem, "grpc" }, { GrpcTags.RpcMethod, MethodOf(call) }, { GrpcTags.RpcStatus, status }, { GrpcTags.ServerAddress, call.Request.RequestUri!.Host },
            };
            if (status != "OK")
            {
                tags.Add(GrpcTags.ErrorType, status);
            }

            _rpcCalls.Record(duration.TotalSeconds, tags);
        }

        var beside = call.Route?.ResilienceFor(call.Limits) is { Hedges: true } && call.MayBeHedged ? _hedges : _retries;
        if (call.Attempts > 1 && beside.Enabled)
        {
            beside.Record(call.Attempts - 1, new(GrpcTags.Method, MethodOf(call)), new(GrpcTags.Target, TargetOf(call)));
        }

        if (_retryDelay.Enabled && call.Waited is { } waited)
        {
            _retryDelay.Record(waited.TotalSeconds, new(GrpcTags.Method, MethodOf(call)), new(GrpcTags.Target, TargetOf(call)));
        }
    }

    private string MethodOf(OutboundCall call) => _methods.Of(call.Request.RequestUri!.AbsolutePath.AsSpan().TrimStart('/'));

    private static string TargetOf(OutboundCall call) =>
        call.Series?.Destination is { } destination ? destination.Target : call.Request.RequestUri!.Authority;

    private static string StatusOf(AttemptResult result) => GrpcTags.NameOf(result.End switch
    {
        AttemptEnd.Response => result.GrpcStatus >= 0 ? result.GrpcStatus : 2,
        AttemptEnd.Cancelled => 1,
        AttemptEnd.Timeout => 4,
        _ => 14,
    });
}
