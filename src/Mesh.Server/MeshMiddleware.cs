using Mesh.Inbound;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features.Authentication;
using Microsoft.Extensions.Logging;

namespace Mesh.Server;

/// <summary>The path of a request in, in this order: is this workload ready, may it come in plaintext, who calls; then the app; then what is counted.</summary>
internal sealed partial class MeshMiddleware(RequestDelegate next, MeshGate gate, InboundMetrics metrics, ILogger<MeshMiddleware> logger)
{
    public Task InvokeAsync(HttpContext context)
    {
        var connection = context.Features.Get<MeshConnectionFeature>();
        // Null: an excluded port, another server, the mesh is off.
        return connection is null ? next(context) : ServeAsync(context, connection);
    }

    private async Task ServeAsync(HttpContext context, MeshConnectionFeature connection)
    {
        if (connection.Address is { } address && !gate.IsProbe(context.Request.Path))
        {
            var policy = address.Policy;
            if (policy is null || gate.Identity.Current is null)
            {
                policy = await WaitAsync(context, address).ConfigureAwait(false);
                if (policy is null)
                {
                    return;
                }
            }

            if (connection.IsPlaintext && !policy.Plaintext)
            {
                Log.PlaintextRefused(logger, address.Name);
                context.Abort();
                return;
            }
        }

        if (connection.Peer is { } peer)
        {
            context.Features.Set<IHttpAuthenticationFeature>(new MeshAuthenticationFeature(peer.Id));
            if (connection.IsMarked && !HttpProtocol.IsHttp2(context.Request.Protocol))
            {
                // HTTP/2 carries the scheme that the caller wrote; HTTP/1 does not, and mesh clients write http.
                context.Request.Scheme = "http";
            }
        }

        var started = gate.Time.GetTimestamp();
        var threw = true;
        try
        {
            await next(context).ConfigureAwait(false);
            threw = false;
        }
        finally
        {
            metrics.Record(connection, !threw && InboundOutcome.IsSuccess(context), gate.Time.GetElapsedTime(started));
        }
    }

    /// <summary>Null when it was answered here: identity or policy did not come in time.</summary>
    private async Task<InboundPolicy?> WaitAsync(HttpContext context, InboundAddress address)
    {
        using var patience = new CancellationTokenSource(MeshGate.LongestWait, gate.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, context.RequestAborted);
        try
        {
            await gate.Identity.GetAsync(either.Token).ConfigureAwait(false);
            return await address.GetAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            if (context.RequestAborted.IsCancellationRequested)
            {
                return null;
            }

            var missing = gate.Identity.Current is null
                ? $"it has no certificate yet. {gate.Identity.Problem ?? "The control plane has not answered yet."}"
                : $"the control plane has not said yet what {address.Name} accepts.";
            Log.NotReady(logger, address.Name, missing);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.ContentType = "text/plain; charset=utf-8";
            // The reason goes to the log; the caller learns which step is missing, not our addresses.
            await context.Response.WriteAsync(
                gate.Identity.Current is null ? "mesh: this workload has no certificate yet\n" : "mesh: this workload has no inbound policy yet\n", CancellationToken.None).ConfigureAwait(false);
            return null;
        }
    }
}
