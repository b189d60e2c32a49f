using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>Counts what the mesh decided on its own account: every retry, hedge, refusal, ejection, injected fault, and why. Thread-safe.</summary>
internal sealed class DecisionCounter : IDisposable
{
    private readonly Meter _meter;
    private readonly Counter<long> _counter;

    /// <param name="meters">Null makes a meter of its own.</param>
    /// <param name="name"><see cref="MeshTags.ClientDecisions"/> or <see cref="MeshTags.ServerDecisions"/>.</param>
    public DecisionCounter(IMeterFactory? meters, string name)
    {
        _meter = meters?.Create(new MeterOptions("Mesh")) ?? new Meter("Mesh");
        _counter = _meter.CreateCounter<long>(name, "{decision}", "What the mesh decided on its own account, and why.");
    }

    /// <summary>Somebody listens.</summary>
    public bool IsOn => _counter.Enabled;

    /// <param name="decision">One of <see cref="Decisions"/>.</param>
    /// <param name="reason">Bounded: a word, a status, the name of a policy.</param>
    /// <param name="service">The called service without namespace; on the server side empty.</param>
    /// <param name="namespace">Its namespace.</param>
    public void Count(string decision, string reason, string service = "", string @namespace = "")
    {
        if (_counter.Enabled)
        {
            // On the stack: four of them have no overload.
            ReadOnlySpan<KeyValuePair<string, object?>> tags =
            [
                new(MeshTags.Decision, decision), new(MeshTags.Reason, reason), new(MeshTags.Destination, service), new(MeshTags.DestinationNamespace, @namespace),
            ];
            _counter.Add(1, tags);
        }
    }

    public void Dispose() => _meter.Dispose();
}

/// <summary>The words of <see cref="MeshTags.Decision"/>.</summary>
internal static class Decisions
{
    /// <summary>Another attempt after a failed one; reason: how that failed, as <c>503</c>, <c>grpc_14</c>, <c>connect_failure</c>, <c>refused</c>, <c>reset</c>, <c>timeout</c>.</summary>
    public const string Retry = "retry";

    /// <summary>No other attempt though the policy allows it; reason: <c>budget</c>, <c>body</c>, <c>deadline</c>, <c>pushback</c> (the server wants none).</summary>
    public const string RetrySuppressed = "retry_suppressed";

    /// <summary>Another attempt beside a slow one; reason: <c>delay</c> or <c>percentile</c>.</summary>
    public const string Hedge = "hedge";

    /// <summary>Refused before anything was sent; reason: <c>max_requests</c>, <c>max_pending</c>, <c>max_connections</c>, <c>concurrency</c>, <c>queue_timeout</c>.</summary>
    public const string Shed = "shed";

    /// <summary>Dropped as the control plane wants; reason: the category.</summary>
    public const string Drop = "drop";

    /// <summary>Refused by a rate limit; reason: its name.</summary>
    public const string RateLimit = "rate_limit";

    /// <summary>Denied by access rules; reason: the rule that denies, or <see cref="Unmatched"/>. Also of connections.</summary>
    public const string Authorization = "authorization";

    /// <summary>Allowed by access rules; reason: the rule that allows, or <see cref="Unmatched"/> where no rule denies.</summary>
    public const string AuthorizationAllowed = "authorization_allowed";

    /// <summary>Access rules that are only audited would have denied; reason as for <see cref="Authorization"/>.</summary>
    public const string Audit = "audit";

    /// <summary>Access rules that are only audited would have allowed; reason as for <see cref="AuthorizationAllowed"/>.</summary>
    public const string AuditAllowed = "audit_allowed";

    /// <summary>The reason of a decision that no rule made.</summary>
    public const string Unmatched = "unmatched";

    /// <summary>A request's token is not believed, or is missing; reason: <c>missing</c>, <c>malformed</c>, <c>too_large</c>, <c>algorithm</c>, <c>critical</c>, <c>issuer</c>, <c>audience</c>, <c>expired</c>, <c>not_yet_valid</c>, <c>unknown_key</c>, <c>signature</c>, <c>keys_unavailable</c>.</summary>
    public const string Unauthenticated = "unauthenticated";

    /// <summary>A request can be read in more than one way; reason: <c>path</c>, <c>host</c>, <c>method</c>.</summary>
    public const string Ambiguous = "ambiguous";

    /// <summary>An endpoint sits out; reason: <c>consecutive_failures</c>, <c>success_rate</c>, <c>failure_percentage</c>, <c>health_check</c>, <c>overloaded</c>.</summary>
    public const string Eject = "eject";

    /// <summary>The other end of a TLS handshake is not believed; reason: <c>no_certificate</c>, <c>expired</c>, <c>unknown_authority</c>, <c>revoked_id</c> … (<c>Mesh.Identity.PeerRefusals</c>).</summary>
    public const string PeerRefused = "peer_refused";

    /// <summary>A live connection was closed because what it rests on ended; reason: as of a refused peer, <c>root_dropped</c>, <c>certificate_replaced</c>, <c>certificate_over</c>.</summary>
    public const string ConnectionEnded = "connection_ended";

    /// <summary>Health no longer counts, because too few endpoints are usable; reason: <c>threshold</c>.</summary>
    public const string Panic = "panic";

    /// <summary>A priority or zone could not take all calls; reason: <c>priority</c>, <c>locality</c>.</summary>
    public const string Failover = "failover";

    public const string FaultDelay = "fault_delay";
    public const string FaultAbort = "fault_abort";

    /// <summary>A copy was sent, or not; reason: <c>sent</c>, <c>busy</c>, <c>body</c>.</summary>
    public const string Mirror = "mirror";
    public const string Redirect = "redirect";
    public const string DirectResponse = "direct_response";

    /// <summary>The endpoint of a session is gone; reason: <c>moved</c>, <c>refused</c>.</summary>
    public const string Session = "session";

    /// <summary>A limit of time ended the call or attempt; reason: <c>request</c>, <c>attempt</c>, <c>headers</c>, <c>idle</c>, <c>deadline</c>.</summary>
    public const string Timeout = "timeout";
}
