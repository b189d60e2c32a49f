namespace Mesh.Telemetry;

/// <summary>Every metric and tag name that the mesh itself gives, once. OpenTelemetry's own names are used where they exist.</summary>
internal static class MeshTags
{
    /// <summary>Histogram, s: one outbound call, its retries included, until its response ended.</summary>
    public const string ClientCallDuration = "mesh.client.call.duration";

    /// <summary>Histogram, s: one attempt of an outbound call, until its response ended.</summary>
    public const string ClientAttemptDuration = "mesh.client.attempt.duration";

    /// <summary>Histogram, s: one connection out whose bytes are no HTTP, from the dial to its end.</summary>
    public const string ClientConnectionDuration = "mesh.client.connection.duration";

    /// <summary>Histogram, s: one connection in whose bytes are no HTTP, until its end.</summary>
    public const string ServerConnectionDuration = "mesh.server.connection.duration";

    /// <summary>Histogram, s: one request served, until its response ended.</summary>
    public const string ServerCallDuration = "mesh.server.call.duration";

    /// <summary>Counter, {request}: requests served whose deadline was over before their answer was complete.</summary>
    public const string ServerDeadlineExceeded = "mesh.server.deadline_exceeded";

    /// <summary>Counter, {request}: requests served whose caller left before their answer was complete, with no deadline over.</summary>
    public const string ServerCancelled = "mesh.server.cancelled";

    /// <summary>Counter, {decision}: what the client side decided on its own account.</summary>
    public const string ClientDecisions = "mesh.client.decisions";

    /// <summary>Counter, {decision}: what the server side decided on its own account.</summary>
    public const string ServerDecisions = "mesh.server.decisions";

    /// <summary>One of <see cref="Decisions"/>.</summary>
    public const string Decision = "mesh.decision";

    /// <summary>Why; a bounded set of words per decision.</summary>
    public const string Reason = "mesh.reason";

    /// <summary>Counter, {connection}: connections closed because a change of policy took their right.</summary>
    public const string ServerConnectionsRevoked = "mesh.server.connections_revoked";

    /// <summary>On the span of a request served: <c>allow</c> or <c>deny</c>, where rules say who may do what.</summary>
    public const string PolicyDecision = "mesh.policy.decision";

    /// <summary>On the span of a request served: the rule that decided, where one did.</summary>
    public const string PolicyRule = "mesh.policy.rule";

    /// <summary>On the span of a denied request: which rules came nearest, and what was missing.</summary>
    public const string PolicyNearest = "mesh.policy.nearest";

    /// <summary>On the span of a request served: <c>allow</c> or <c>deny</c> by the rules that are only audited.</summary>
    public const string PolicyAudit = "mesh.policy.audit";

    /// <summary>Span of one attempt, in the activity source <see cref="ActivitySource"/>.</summary>
    public const string AttemptSpan = "mesh.attempt";

    /// <summary>The activity source of attempts: <c>Mesh</c>, as the meter.</summary>
    public const string ActivitySource = "Mesh";

    /// <summary>On an attempt's span: which one it is, from 1.</summary>
    public const string Attempt = "mesh.attempt";

    /// <summary>On a call's span: how many attempts it took.</summary>
    public const string Attempts = "mesh.attempts";

    /// <summary>On a call's span: the route's name.</summary>
    public const string Route = "mesh.route";

    /// <summary>On both spans: the cluster's name.</summary>
    public const string Cluster = "mesh.cluster";

    /// <summary><c>outbound</c> or <c>inbound</c>.</summary>
    public const string Direction = "mesh.direction";

    /// <summary>Workload that called. On inbound: the service account of the verified peer, or <see cref="Unmeshed"/>.</summary>
    public const string Source = "mesh.source.workload";
    public const string SourceNamespace = "mesh.source.namespace";

    /// <summary>Service that was called, without namespace. On inbound: the workload that served.</summary>
    public const string Destination = "mesh.destination.service";
    public const string DestinationNamespace = "mesh.destination.namespace";

    /// <summary>Service whose endpoint got the attempt: differs from the destination when a route splits traffic.</summary>
    public const string Backend = "mesh.backend.service";
    public const string BackendNamespace = "mesh.backend.namespace";

    /// <summary>IP literal and port of the endpoint, as <c>10.0.0.1:80</c>.</summary>
    public const string Endpoint = "mesh.endpoint";

    /// <summary><c>success</c>, <c>failure</c> (5xx, gRPC server errors, broken connections, timeouts) or <c>cancelled</c>: its caller gave up, which says nothing of the callee.</summary>
    public const string Outcome = "mesh.outcome";

    /// <summary><c>true</c> when the attempt's bytes may have reached the endpoint.</summary>
    public const string Reached = "mesh.reached";

    /// <summary><c>mesh</c> for mesh TLS, else <c>none</c>.</summary>
    public const string Tls = "mesh.tls";

    public const string Outbound = "outbound";
    public const string Inbound = "inbound";
    public const string Success = "success";
    public const string Failure = "failure";
    public const string Cancelled = "cancelled";
    public const string Unmeshed = "unmeshed";
}
