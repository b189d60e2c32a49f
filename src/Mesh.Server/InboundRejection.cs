using System.Globalization;
using Mesh.Inbound;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Writes a rejection: a status for HTTP, a trailers-only answer for gRPC.</summary>
internal static class InboundRejection
{
    public static Task AnswerAsync(HttpContext context, Rejection rejection)
    {
        var headers = context.Response.Headers;
        headers[OutboundErrors.Header] = rejection.Code;
        if (rejection.Challenge is { } challenge)
        {
            headers.WWWAuthenticate = challenge;
        }

        if (InboundDeadline.IsGrpc(context.Request))
        {
            context.Response.ContentType = "application/grpc";
            headers["grpc-status"] = rejection.GrpcStatus.ToString(CultureInfo.InvariantCulture);
            headers["grpc-message"] = Uri.EscapeDataString(rejection.Message);
            return Task.CompletedTask;
        }

        context.Response.StatusCode = rejection.HttpStatus;
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync(rejection.Message + "\n", CancellationToken.None);
    }
}
