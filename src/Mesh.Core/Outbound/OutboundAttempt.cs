using System.Diagnostics;
using System.Runtime.InteropServices;
using Mesh.Balancing;
using Mesh.Outbound.Steps;
using Mesh.Resilience;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>One attempt on one endpoint, from the pick to the end of its response: gives back what it holds.</summary>
/// <remarks>A value: it lives inside the response's body, so that it takes no object of its own.</remarks>
[StructLayout(LayoutKind.Auto)]
internal readonly struct OutboundAttempt(OutboundCall call, OutboundEndpoint endpoint, EndpointHandler handler, long start, Activity? span)
{
    public OutboundCall Call => call;

    /// <summary>Response headers arrived: that is the latency the balancer goes by.</summary>
    public void Answered()
    {
        var now = call.Pipeline.Time.GetTimestamp();
        endpoint.Latency.Record(call.Pipeline.Time.GetElapsedTime(start, now), now, cold: handler.ConnectedSince(start));
    }

    /// <summary>An endpoint that had enough is left alone for a while: as long as it says (<c>Retry-After</c>, pushback), else about a second.</summary>
    public void Heed(HttpResponseMessage response, AttemptResult result)
    {
        if (result.HttpStatus is not (429 or 503) && result.GrpcStatus is not (8 or 14))
        {
            return;
        }

        var pipeline = call.Pipeline;
        if (RetryHint.Read(response, result, pipeline.Time.GetUtcNow()).Rest(result, pipeline.Random) is not { } rest)
        {
            return;
        }

        var now = pipeline.Time.GetTimestamp();
        if (!endpoint.IsSteeredAway(now))
        {
            pipeline.Telemetry.Decide(call, Decisions.Eject, "overloaded");
        }

        endpoint.SteerAway(now + (long)(rest.TotalSeconds * pipeline.Time.TimestampFrequency));
    }

    /// <summary>What the endpoint said of its load, once its response has ended.</summary>
    public void ReadLoad(HttpResponseMessage response) => InBandLoad.Read(endpoint, response, call.Pipeline.Time);

    /// <summary>The attempt needs its connection no more.</summary>
    public static void LetGo(OutboundCall call, EndpointHandler handler)
    {
        if (call.WaitsOverHttp2 is { } http2)
        {
            call.WaitsOverHttp2 = null;
            handler.Connections.Exit(http2);
        }

        handler.Release();
    }

    /// <summary>Called once.</summary>
    public void End(AttemptResult result)
    {
        endpoint.AttemptEnded();
        endpoint.Cluster.Limit.Exit();
        LetGo(call, handler);
        var now = call.Pipeline.Time.GetTimestamp();
        if (result.End == AttemptEnd.ConnectFailure)
        {
            endpoint.Cluster.Balancer.ConnectFailed(endpoint);
        }

        // One that asked to be left alone is not judged meanwhile: a server that refuses early does what it should, and its capacity is wanted.
        var judged = result.End is not (AttemptEnd.Cancelled or AttemptEnd.Overloaded) && !(result.IsFailure && endpoint.IsSteeredAway(now));
        if (judged && endpoint.Cluster.Balancer.Report(endpoint, result.IsFailure, now))
        {
            // Counted by the cluster, as all ejections are.
            CallSpans.Mark(call, Decisions.Eject, Ejection.ConsecutiveFailures);
        }

        call.Pipeline.Telemetry.EndAttempt(call, endpoint, result, call.Pipeline.Time.GetElapsedTime(start, now), span);
    }
}
