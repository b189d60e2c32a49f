using Mesh.Server;
using Mesh.Server.Logging;
using Mesh.Transparent.Forwarding;
using Microsoft.AspNetCore.Http;

namespace Mesh.Transparent.Inbound;

/// <summary>Writes each request into the access log when it has ended.</summary>
internal sealed class LoggedRequests(AccessLog log, RequestDelegate serve, TimeProvider time)
{
    public async Task ServeAsync(HttpContext context)
    {
        var start = time.GetTimestamp();
        var forwarded = new ForwardedBytes();
        context.Features.Set(forwarded);
        try
        {
            await serve(context).ConfigureAwait(false);
        }
        finally
        {
            var end = time.GetTimestamp();
            // What the app did not take of it.
            var processing = time.GetElapsedTime(start, end) - forwarded.InApp;
            log.Write(context, context.Features.Get<MeshPeerFeature>(), time.GetElapsedTime(start, end), processing, forwarded.Request, forwarded.Response);
        }
    }
}
