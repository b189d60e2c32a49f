using Mesh.Config;

namespace Mesh.Outbound.Steps;

/// <summary>Chooses route and cluster, once per call: a call's retries stay in its cluster (gRFC A31).</summary>
internal sealed class RouteStep(Random random)
{
    /// <summary>Null when the call has a cluster now; else the answer.</summary>
    public HttpResponseMessage? Route(OutboundCall call)
    {
        var host = call.Listener.Host;
        var route = host?.Unconditional ?? host?.Match(new HttpRequestMessageHead(call.Request), random);
        call.Route = route;
        if (route?.Clusters is { } clusters)
        {
            call.Cluster = clusters.Pick(random);
            return null;
        }

        return route?.Config.Action switch
        {
            RouteAction.DirectResponse direct => OutboundErrors.Direct(call.Request, call.IsGrpc, direct.Status, direct.Body),
            RouteAction.NotForwarding not => Fail(call, MeshErrorCode.NotForwarding, $"The route '{route.Config.Name}' for '{call.Request.RequestUri!.Authority}' does not forward: {not.Reason}"),
            _ => Fail(call, MeshErrorCode.NoRoute, $"No route of '{call.Request.RequestUri!.Authority}' takes {call.Request.Method} {call.Request.RequestUri.AbsolutePath}."),
        };
    }

    private static HttpResponseMessage Fail(OutboundCall call, MeshErrorCode code, string detail) => OutboundErrors.Respond(call.Request, call.IsGrpc, code, detail);
}
