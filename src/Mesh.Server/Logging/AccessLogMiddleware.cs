using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server.Logging;

/// <summary>Writes each request that comes through the mesh's listener into the access log when it has ended. Stands before the mesh; <see cref="TimeAppAsync"/> behind it.</summary>
internal sealed class AccessLogMiddleware(RequestDelegate next, AccessLog log, TimeProvider time)
{
    public Task InvokeAsync(HttpContext context) => context.Features.Get<MeshConnectionFeature>() is null ? next(context) : ServeAsync(context);

    /// <summary>Measures what the app takes, so that the rest is the mesh's.</summary>
    public static async Task TimeAppAsync(HttpContext context, RequestDelegate app, TimeProvider time)
    {
        if (context.Features.Get<LoggedRequest>() is not { } logged)
        {
            await app(context).ConfigureAwait(false);
            return;
        }

        var start = time.GetTimestamp();
        try
        {
            await app(context).ConfigureAwait(false);
        }
        finally
        {
            logged.InApp = time.GetElapsedTime(start);
        }
    }

    private async Task ServeAsync(HttpContext context)
    {
        var start = time.GetTimestamp();
        var logged = new LoggedRequest();
        context.Features.Set(logged);
        var response = new CountedResponse(context.Features.GetRequiredFeature<IHttpResponseBodyFeature>());
        context.Features.Set<IHttpResponseBodyFeature>(response);
        // A length that was told needs no counting.
        var body = context.Request.Body;
        var request = context.Request.ContentLength is null && context.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: true } ? new CountedRequest(body) : null;
        if (request is not null)
        {
            context.Request.Body = request;
        }

        try
        {
            await next(context).ConfigureAwait(false);
        }
        finally
        {
            var total = time.GetElapsedTime(start);
            log.Write(context, context.Features.Get<MeshPeerFeature>(), total, total - logged.InApp, request?.Count ?? context.Request.ContentLength ?? 0, response.Count);
            if (request is not null)
            {
                context.Request.Body = body;
            }

            context.Features.Set(response.Inner);
        }
    }
}

/// <summary>A feature of requests that are logged.</summary>
internal sealed class LoggedRequest
{
    public TimeSpan InApp { get; set; }
}
