using System.Globalization;
using Mesh.Inbound;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Writes a refusal: a status for HTTP, a trailers-only answer for gRPC.</summary>
internal static class InboundRefusal
{
    /// <summary>403, for gRPC PERMISSION_DENIED. Why is not said to callers outside of the mesh.</summary>
    public static Task DenyAsync(HttpContext context) =>
        AnswerAsync(context, "PermissionDenied", StatusCodes.Status403Forbidden, grpcStatus: 7, "mesh: permission denied");

    /// <param name="code">For the header <c>mesh-error</c>.</param>
    public static Task AnswerAsync(HttpContext context, string code, int httpStatus, int grpcStatus, string message)
    {
        var response = context.Response;
        response.Headers[OutboundErrors.Header] = code;
        if (InboundDeadline.IsGrpc(context.Request))
        {
            response.ContentType = "application/grpc";
            response.Headers["grpc-status"] = grpcStatus.ToString(CultureInfo.InvariantCulture);
            response.Headers["grpc-message"] = message;
            return Task.CompletedTask;
        }

        response.StatusCode = httpStatus;
        response.ContentType = "text/plain; charset=utf-8";
        return response.WriteAsync(message + "\n", CancellationToken.None);
    }

    public static Task AnswerAsync(HttpContext context, Refusal refusal)
    {
        var headers = context.Response.Headers;
        headers[OutboundErrors.Header] = refusal.Code;
        if (InboundDeadline.IsGrpc(context.Request))
        {
            context.Response.ContentType = "application/grpc";
            headers["grpc-status"] = Refusal.GrpcStatus.ToString(CultureInfo.InvariantCulture);
            // gRPC over HTTP/2, "Status-Message": percent-encoded; a limit's name may hold anything.
            headers["grpc-message"] = Uri.EscapeDataString(refusal.Message);
            if (refusal.IsRateLimit)
            {
                headers["grpc-retry-pushback-ms"] = refusal.RetryAfterMilliseconds.ToString(CultureInfo.InvariantCulture);
            }

            return Task.CompletedTask;
        }

        context.Response.StatusCode = refusal.HttpStatus;
        headers.RetryAfter = refusal.RetryAfterSeconds.ToString(CultureInfo.InvariantCulture);
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(refusal.Message + "\n", CancellationToken.None);
    }
}
