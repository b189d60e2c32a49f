using System.Diagnostics;
using System.Diagnostics.Metrics;
using Mesh.Telemetry;

namespace Mesh.Server;

/// <summary>Counts the requests whose caller did not wait for the end, and those that were not served as asked.</summary>
internal sealed class InboundCounters : IDisposable
{
    /// <summary>Names of rules on the graph.</summary>
    private const int MostRules = 200;

    private readonly BoundedNames _rules = new(MostRules);
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

    /// <summary>Access rules let a request pass: on the graph alone.</summary>
    /// <param name="rule">Null where no rule said so.</param>
    public void Allowed(string? rule)
    {
        if (_decisions.IsOn)
        {
            _decisions.Count(Decisions.AuthorizationAllowed, Reason(rule));
        }
    }

    /// <summary>Access rules deny a request or connection.</summary>
    /// <returns>The reason as it stands on the graph.</returns>
    public string Denied(string? rule)
    {
        var reason = Reason(rule);
        Decide(Decisions.Authorization, reason);
        return reason;
    }

    /// <summary>What audited rules would have decided: on the graph alone.</summary>
    /// <inheritdoc cref="Denied"/>
    public string Audited(bool allowed, string? rule)
    {
        var reason = Reason(rule);
        _decisions.Count(allowed ? Decisions.AuditAllowed : Decisions.Audit, reason);
        return reason;
    }

    private string Reason(string? rule) => rule is null ? Decisions.Unmatched : _rules.Of(rule);

    public void Dispose()
    {
        _decisions.Dispose();
        _meter.Dispose();
    }
}
