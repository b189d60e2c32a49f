using Grpc.Core;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Takes the workloads' measurements (OTLP/gRPC), each only from who it is about.</summary>
internal sealed class OtlpMetricsService(MetricsIntake intake) : MetricsService.MetricsServiceBase
{
    /// <inheritdoc/>
    public override Task<ExportMetricsServiceResponse> Export(ExportMetricsServiceRequest request, ServerCallContext context)
    {
        var peer = context.GetHttpContext().Features.Get<PeerFeature>()?.Id
            ?? throw new RpcException(new Status(StatusCode.Unauthenticated, "Metrics need a client certificate of the mesh."));
        return Task.FromResult(intake.Take(request, peer));
    }
}

/// <summary>Takes measurements of a known peer, however they came.</summary>
internal sealed partial class MetricsIntake(MetricsReader reader, ILogger<MetricsIntake> logger)
{
    public ExportMetricsServiceResponse Take(ExportMetricsServiceRequest request, SpiffeId peer)
    {
        var (rejected, reason) = reader.Read(request.ResourceMetrics, peer);
        var response = new ExportMetricsServiceResponse();
        if (rejected > 0)
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
