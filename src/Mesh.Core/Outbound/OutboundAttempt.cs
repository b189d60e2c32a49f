using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>One attempt on one endpoint, from the pick to the end of its response: gives back what it holds, once.</summary>
internal sealed class OutboundAttempt(OutboundCall call, OutboundEndpoint endpoint, EndpointHandler handler, long start)
{
    public EndpointHandler Handler => handler;

    /// <summary>What the response headers said.</summary>
    public AttemptResult Result { get; private set; }

    /// <summary>Response headers arrived: that is the latency the balancer goes by.</summary>
    public void Answered(AttemptResult result)
    {
        Result = result;
        var now = call.Pipeline.Time.GetTimestamp();
        endpoint.Latency.Record(call.Pipeline.Time.GetElapsedTime(start, now), now, cold: handler.ConnectedSince(start));
    }

    /// <summary>Called once.</summary>
    public void End(AttemptResult result)
    {
        endpoint.AttemptEnded();
        endpoint.Cluster.Limit.Exit();
        handler.Release();
        var now = call.Pipeline.Time.GetTimestamp();
        if (result.End != AttemptEnd.Cancelled)
        {
            endpoint.Cluster.Balancer.Report(endpoint, result.IsFailure, now);
        }

        call.Pipeline.Telemetry.EndAttempt(call, endpoint, result, call.Pipeline.Time.GetElapsedTime(start, now));
    }
}
