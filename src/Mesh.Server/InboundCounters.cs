using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Telemetry;

namespace Mesh.Server;

/// <summary>Counts the requests whose caller did not wait for the end, and those that were not served as asked.</summary>
internal sealed class InboundCounters : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _deadlineExceeded;
    private readonly Counter<long> _cancelled;
    private readonly DecisionCounter _decisions;

    public InboundCounters(IMeterFactory meters)
    {
        _meter = meters.Create(new MeterOptions("Mesh"));
        _deadlineExceeded = _meter.CreateCounter<long>(MeshTags.ServerDeadlineExceeded, "{request}", "Requests whose deadline was over before their answer was complete.");
        _cancelled = _meter.CreateCounter<long>(MeshTags.ServerCancelled, "{request}", "Requests whose caller left before their answer was complete.");
        _decisions = new DecisionCounter(meters, MeshTags.ServerDecisions);
    }

    public void DeadlineExceeded()
    {
        _deadlineExceeded.Add(1);
        Decide(Decisions.Timeout, "deadline");
    }

    public void Cancelled() => _cancelled.Add(1);

    /// <summary>On the graph, and on the span of the request that is being served.</summary>
    /// <param name="decision">One of <see cref="Decisions"/>.</param>
    public void Decide(string decision, string reason)
    {
        _decisions.Count(decision, reason);
        if (Activity.Current is { IsAllDataRequested: true } span)
        {
            span.SetTag(MeshTags.Decision, decision);
            span.SetTag(MeshTags.Reason, reason);
        }
    }

    public void Dispose()
    {
        _decisions.Dispose();
        _meter.Dispose();
    }
}
