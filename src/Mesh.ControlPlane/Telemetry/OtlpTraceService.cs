using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Takes the workloads' spans (OTLP/gRPC), each only from who it is about.</summary>
internal sealed class OtlpTraceService(TraceIntake intake) : TraceService.TraceServiceBase
{
    /// <inheritdoc/>
    public override Task<ExportTraceServiceResponse> Export(ExportTraceServiceRequest request, ServerCallContext context)
    {
        var peer = context.GetHttpContext().Features.Get<PeerFeature>()?.Id
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, "Spans need a client certificate of the mesh."));
        return Task.FromResult(intake.Take(request, peer));
    }
}

/// <summary>Takes spans of a known peer, however they came.</summary>
internal sealed partial class TraceIntake(TraceStore store, ILogger<TraceIntake> logger, OtlpForwarder? forwarder = null)
{
    public ExportTraceServiceResponse Take(ExportTraceServiceRequest request, SpiffeId peer)
    {
        var (spans, rejected, reason) = TraceReader.Read(request.ResourceSpans, peer);
        store.Add(spans);
        var response = new ExportTraceServiceResponse();
        if (rejected == 0)
        {
            // Of a message that is not all its sender's nothing is given on under its name.
            forwarder?.Take(OtlpSignal.Traces, request);
        }
        else
        {
            Log.SpansRefused(logger, rejected, peer.ToString(), reason!);
            response.PartialSuccess = new ExportTracePartialSuccess { RejectedSpans = rejected, ErrorMessage = reason };
        }

        return response;
    }

    private static partial class Log
    {
        [LoggerMessage(4710, LogLevel.Warning, "Refused {Spans} spans of '{Peer}': {Reason}", EventName = nameof(SpansRefused))]
        public static partial void SpansRefused(ILogger logger, long spans, string peer, string reason);
    }
}
