using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Connections.Features;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Takes the workloads' measurements (OTLP/gRPC), each only from who it is about.</summary>
internal sealed class OtlpMetricsService(MetricsIntake intake) : MetricsService.MetricsServiceBase
{
    /// <inheritdoc/>
    public override Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context)
    {
        var peer = context.GetHttpContext().Features.Get<PeerFeature>()?.Id
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, "Metrics need a client certificate of the mesh."));
        var closed = context.GetHttpContext().Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed ?? CancellationToken.None;
        return Task.FromResult(intake.Take(request, peer, ReportNote.Of(context.RequestHeaders.GetValue, closed)));
    }
}

/// <summary>Takes measurements of a known peer, however they came.</summary>
internal sealed partial class MetricsIntake(MetricsReader reader, ReportWatch watch, TakenReports taken, ILogger<MetricsIntake> logger, OtlpForwarder? forwarder = null)
{
    public ExportMetricsServiceResponse Take(ExportMetricsServiceRequest request, SpiffeId peer, ReportNote note)
    {
        // What comes again was counted, and given on; that its sender lives is news all the same.
        var isNew = taken.TryTake(peer, note);
        var (rejected, reason) = isNew ? reader.Read(request.ResourceMetrics, peer) : (0, null);
        foreach (var resource in request.ResourceMetrics)
        {
            watch.Heard(Reporter.Of(resource.Resource, peer), note);
        }

        var response = new ExportMetricsServiceResponse();
        if (!isNew)
        {
            return response;
        }

        if (rejected == 0)
        {
            forwarder?.Take(OtlpSignal.Metrics, request);
        }
        else
        {
            Log.Rejected(logger, rejected, peer.ToString(), reason!);
            response.PartialSuccess = new ExportMetricsPartialSuccess { RejectedDataPoints = rejected, ErrorMessage = reason };
        }

        return response;
    }

    private static partial class Log
    {
        [LoggerMessage(4700, LogLevel.Warning, "Refused {Points} data points of '{Peer}': {Reason}", EventName = nameof(Rejected))]
        public static partial void Rejected(ILogger logger, long points, string peer, string reason);
    }
}
