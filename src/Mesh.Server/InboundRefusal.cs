using System.Globalization;
using Mesh.Inbound;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Writes a refusal: a status for HTTP, a trailers-only answer for gRPC.</summary>
internal static class InboundRefusal
{
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
