using Mesh.ControlPlane.CertificateAuthority;
using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Api;

/// <summary>Turns what goes wrong in the API into problem+json (RFC 9457): the one place where it is done.</summary>
internal static partial class ApiErrors
{
    public static async Task HandleAsync(HttpContext context, RequestDelegate next)
    {
        try
        {
            await next(context);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await ApiEndpoints.Problem(e.StatusCode, "Bad request", e.InnerException is { } inner ? $"{e.Message} {inner.Message}" : e.Message).ExecuteAsync(context);
            return;
        }
        catch (StateNotKeptException e) when (!context.Response.HasStarted)
        {
            await ApiEndpoints.Problem(503, "Not kept", e.Message).ExecuteAsync(context);
            return;
        }
        catch (GoldenUnavailableException e) when (!context.Response.HasStarted)
        {
            await ApiEndpoints.Problem(502, "No measurements", e.Message).ExecuteAsync(context);
            return;
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            Log.RequestFailed(context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(ApiErrors)), context.Request.Method, context.Request.Path, e);
            await ApiEndpoints.Problem(500, "Internal error", "The request failed; the control plane's log says why.").ExecuteAsync(context);
            return;
        }

        if (context.Response is { HasStarted: false, StatusCode: >= 400, ContentLength: null, ContentType: null })
        {
            var detail = context.Response.StatusCode switch
            {
                404 => $"'{context.Request.Path}' is not here. The API is under /api/v1.",
                405 => $"'{context.Request.Method}' is not allowed on '{context.Request.Path}'. Allowed: {context.Response.Headers.Allow}.",
                415 => "Send 'Content-Type: application/json'.",
                _ => "The request could not be understood.",
            };
            await ApiEndpoints.Problem(context.Response.StatusCode, "Refused", detail).ExecuteAsync(context);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4800, LogLevel.Error, "{Method} {Path} failed", EventName = nameof(RequestFailed))]
        public static partial void RequestFailed(ILogger logger, string method, string path, Exception exception);
    }
}
