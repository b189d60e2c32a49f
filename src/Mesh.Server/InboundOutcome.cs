using Mesh.Inbound;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server;

/// <summary>Whether a response counts as a success of the server.</summary>
internal static class InboundOutcome
{
    public static bool IsSuccess(HttpContext context)
    {
        var response = context.Response;
        if (response.StatusCode >= 500 || (context.RequestAborted.IsCancellationRequested && !response.HasStarted))
        {
            return false;
        }

        return response.ContentType is not { } type || !type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) || !IsServerError(GrpcStatus(context), response);
    }

    /// <summary>In the trailers, or in the headers when the response is nothing else.</summary>
    public static string? GrpcStatus(HttpContext context)
    {
        if (context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers is { } trailers && trailers.TryGetValue("grpc-status", out var status))
        {
            return status;
        }

        return context.Response.Headers.TryGetValue("grpc-status", out status) ? status : (string?)null;
    }

    /// <summary>OpenTelemetry's list for gRPC servers: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. RESOURCE_EXHAUSTED only when this server had no place, as 503 in HTTP.</summary>
    private static bool IsServerError(string? status, HttpResponse response) =>
        status is "2" or "4" or "12" or "13" or "14" or "15" || (status == "8" && response.Headers[OutboundErrors.Header] == Refusal.OverloadedCode);
}
