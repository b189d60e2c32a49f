using System.Net.Sockets;
using Mesh.Outbound;
using Microsoft.AspNetCore.Http;

namespace Mesh.Transparent.Forwarding;

/// <summary>Why the proxy itself answers a request (Linkerd's table of errors).</summary>
internal enum ProxyError
{
    /// <summary>No connection to the server: 502, UNAVAILABLE.</summary>
    Connect,

    /// <summary>The connection broke before an answer came: 502, UNAVAILABLE.</summary>
    Broken,

    /// <summary>It took too long: 504, DEADLINE_EXCEEDED.</summary>
    Timeout,

    /// <summary>The mesh lets nothing out to there: 403, PERMISSION_DENIED.</summary>
    Forbidden,

    /// <summary>The request's body is none: 400, INTERNAL.</summary>
    BadRequestBody,
}

/// <summary>Failure to answer, in one place: a status for HTTP, a trailers-only status for gRPC; with the reason in a header, as the core's own answers have it.</summary>
internal static class ProxyErrors
{
    public static ProxyError Of(Exception exception)
    {
        for (var e = exception; e is not null; e = e.InnerException)
        {
            switch (e)
            {
                case EndpointConnectException or SocketException:
                case HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError }:
                    return ProxyError.Connect;
                case TimeoutException:
                    return ProxyError.Timeout;
            }
        }

        return ProxyError.Broken;
    }

    /// <summary>The answer as one that a server gave.</summary>
    public static HttpResponseMessage Response(HttpRequestMessage request, ProxyError error)
    {
        var (status, grpc, text) = Words(error);
        return OutboundErrors.Own(request, new HttpRequestMessageHead(request).IsGrpc, status, grpc, error.ToString(), text);
    }

    private static (int Status, int Grpc, string Text) Words(ProxyError error) => error switch
        {
            ProxyError.Connect => (StatusCodes.Status502BadGateway, 14, "The server can't be connected."),
            ProxyError.Timeout => (StatusCodes.Status504GatewayTimeout, 4, "The server did not answer in time."),
            ProxyError.Forbidden => (StatusCodes.Status403Forbidden, 7, "This workload may not call addresses outside of the mesh."),
            ProxyError.BadRequestBody => (StatusCodes.Status400BadRequest, 13, "The request's body could not be read."),
            _ => (StatusCodes.Status502BadGateway, 14, "The connection to the server broke before it answered."),
        };

    /// <summary>Nothing when the caller has gone meanwhile.</summary>
    public static async Task AnswerAsync(HttpContext context, ProxyError error)
    {
        var (status, grpc, text) = Words(error);
        context.Response.Clear();
        context.Response.Headers[OutboundErrors.Header] = error.ToString();
        if (context.Request.ContentType is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) && !type.StartsWith("application/grpc-web", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = grpc.ToString(System.Globalization.CultureInfo.InvariantCulture);
            context.Response.Headers["grpc-message"] = Uri.EscapeDataString(text);
            return;
        }

        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        var bytes = System.Text.Encoding.UTF8.GetBytes($"mesh: {text}\n");
        context.Response.ContentLength = bytes.Length;
        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
        }
    }
}
