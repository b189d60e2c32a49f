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

    /// <summary>Counter, By: bytes of connections out that are no HTTP, while they are carried; <c>network.io.direction</c> as this workload sees it.</summary>
    public const string ClientConnectionIo = "mesh.client.connection.io";

    /// <summary>Counter, By: bytes of connections in that are no HTTP, while they are carried; <c>network.io.direction</c> as this workload sees it.</summary>
    public const string ServerConnectionIo = "mesh.server.connection.io";

    /// <summary>Counter, {connection}: connections out whose bytes are no HTTP, that began.</summary>
    public const string ClientConnectionOpened = "mesh.client.connection.opened";

    /// <summary>Counter, {connection}: connections in whose bytes are no HTTP, that began.</summary>
    public const string ServerConnectionOpened = "mesh.server.connection.opened";

    /// <summary>Gauge, {connection}: open connections out whose bytes are no HTTP.</summary>
    public const string ClientConnectionOpen = "mesh.client.connection.open";

    /// <summary>OpenTelemetry's: <c>transmit</c> or <c>receive</c>, as this workload sees it.</summary>
    public const string IoDirection = "network.io.direction";

    /// <summary>Gauge, {connection}: open connections in whose bytes are no HTTP.</summary>
    public const string ServerConnectionOpen = "mesh.server.connection.open";

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

    /// <summary>Gauge, 1: an endpoint that a client balances over, its state in <see cref="State"/>; the value is 1.</summary>
    public const string EndpointState = "mesh.endpoint.state";

    /// <summary>Gauge, {request}: attempts at an endpoint whose response has not ended.</summary>
    public const string EndpointActive = "mesh.endpoint.active";

    /// <summary>Gauge, s: what an endpoint's latency is worth to the balancer now.</summary>
    public const string EndpointEwma = "mesh.endpoint.ewma";

    /// <summary>Gauge, 1: the weight by which an endpoint is chosen: what its load reports make it worth, else what the control plane says.</summary>
    public const string EndpointWeight = "mesh.endpoint.weight";

    /// <summary>Gauge, s since 1970: up to when an endpoint sits out. Only while it does.</summary>
    public const string EndpointEjectedUntil = "mesh.endpoint.ejected_until";

    /// <summary>Gauge, {connection}: established connections to an endpoint.</summary>
    public const string EndpointConnections = "mesh.endpoint.connections";

    /// <summary>Of an endpoint: <c>ready</c>, <c>connecting</c>, <c>idle</c>, <c>failing</c> or <c>ejected</c>; why stands in <see cref="Reason"/>.</summary>
    public const string State = "state";

    /// <summary>Counter, {update}: answers of the control plane, by <see cref="XdsType"/> and <see cref="XdsAnswer"/>.</summary>
    public const string XdsUpdates = "mesh.xds.updates";

    /// <summary>Gauge, s: how long the stream to the control plane has been down; 0 while it stands.</summary>
    public const string XdsStaleness = "mesh.xds.staleness";

    /// <summary>Short name of a resource type: <c>listener</c>, <c>route</c>, <c>cluster</c>, <c>endpoints</c>, <c>leaf_policy</c>, <c>trust_bundle</c>.</summary>
    public const string XdsType = "mesh.xds.type";

    /// <summary><c>ack</c> or <c>nack</c>.</summary>
    public const string XdsAnswer = "mesh.xds.answer";

    /// <summary>Gauge, s since 1970: when this workload's certificate is over.</summary>
    public const string CertificateExpiration = "mesh.identity.certificate.expiration";

    /// <summary>Gauge, 1: how many certificates there have been.</summary>
    public const string CertificateGeneration = "mesh.identity.certificate.generation";

    /// <summary>Gauge, {series}: histogram series that are kept.</summary>
    public const string TelemetrySeries = "mesh.telemetry.series";

    /// <summary>Gauge, {series}: most histogram series that are kept.</summary>
    public const string TelemetryMaxSeries = "mesh.telemetry.max_series";

    /// <summary>Counter, {series}: how often a series was asked for that did not fit, by <see cref="MetricName"/>.</summary>
    public const string TelemetryOverflowed = "mesh.telemetry.overflowed";

    /// <summary>The name of a metric.</summary>
    public const string MetricName = "mesh.metric";

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

    /// <summary>Calls out: the name of the mesh's route. Calls in: the app's own route template, or <c>/package.Service/Method</c> for gRPC. Empty when there is none; <see cref="Other"/> past the cap.</summary>
    public const string Route = "mesh.route";

    /// <summary>Stands for all routes past the first <see cref="MaxRoutes"/> of a service.</summary>
    public const string Other = "other";

    /// <summary>Most routes of one service that are told apart.</summary>
    public const int MaxRoutes = 100;

    /// <summary>On both spans: the cluster's name.</summary>
    public const string Cluster = "mesh.cluster";

    /// <summary>On the span of a request served: the SPIFFE id of its verified caller.</summary>
    public const string Peer = "mesh.peer";

    /// <summary>On the span of a request served: the time that its caller gave it, ms.</summary>
    public const string Deadline = "mesh.deadline_ms";

    /// <summary>On a span that was made when its call had ended, because that failed or was slow: <c>true</c>. It has no attempts below it.</summary>
    public const string Late = "mesh.late";

    /// <summary>Counter, {span}: spans that did not get to the control plane; reason: <c>queue</c> (more than fit), <c>refused</c> or <c>unsupported</c> by the control plane.</summary>
    public const string TracesDropped = "mesh.traces.dropped";

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
