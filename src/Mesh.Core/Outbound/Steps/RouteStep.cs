using Mesh.Config;

namespace Mesh.Outbound.Steps;

/// <summary>Chooses route and cluster, once per call: a call's retries stay in its cluster (gRFC A31).</summary>
internal sealed class RouteStep(Random random)
{
    // Stands for this client where a route hashes by channel.
    private readonly ulong _channelId = Draw(random);

    /// <summary>Null when the call has a cluster now; else the answer.</summary>
    public HttpResponseMessage? Route(OutboundCall call)
    {
        var host = call.Listener.Host;
        var route = host?.Unconditional ?? host?.Match(new HttpRequestMessageHead(call.Request), random);
        call.Route = route;
        if (route?.Clusters is { } clusters)
        {
            call.Target = SessionStep.Begin(call, clusters.Pick(random), clusters);
            call.Cluster = call.Target.Cluster;
            if (call.Cluster.Config.LoadBalancing == LoadBalancing.RingHash)
            {
                // Once per call: its retries go round the ring from the same place.
                call.Hash = route.Hasher?.Hash(new HttpRequestMessageHead(call.Request), _channelId) ?? Draw(random);
            }

            return null;
        }

        return route?.Config.Action switch
        {
            RouteAction.DirectResponse direct => SteerStep.Answer(call, route, direct),
            RouteAction.Redirect redirect => SteerStep.Answer(call, route, redirect),
            RouteAction.NotForwarding not => Fail(call, MeshErrorCode.NotForwarding, $"The route '{route.Config.Name}' for '{call.Request.RequestUri!.Authority}' does not forward: {not.Reason}"),
            _ => Fail(call, MeshErrorCode.NoRoute, $"No route of '{call.Request.RequestUri!.Authority}' takes {call.Request.Method} {call.Request.RequestUri.AbsolutePath}."),
        };
    }

    private static ulong Draw(Random random) => (ulong)random.NextInt64(long.MinValue, long.MaxValue);

    private static HttpResponseMessage Fail(OutboundCall call, MeshErrorCode code, string detail) => OutboundErrors.Respond(call.Request, call.IsGrpc, code, detail);
}
