namespace Mesh.Telemetry;

/// <summary>Names that gRPC and OpenTelemetry give, for what we measure as they do: gRFC A66, A78, A91, A94, A96 and the semantic conventions of RPC.</summary>
/// <remarks>Dashboards made for other gRPC implementations work with them. What we can't feed as it is meant is not here.</remarks>
internal static class GrpcTags
{
    /// <summary>Counter, {attempt}: those that have not ended included (A66).</summary>
    public const string ClientAttemptStarted = "grpc.client.attempt.started";

    /// <summary>Histogram, s (A66).</summary>
    public const string ClientAttemptDuration = "grpc.client.attempt.duration";

    /// <summary>Histogram, s (A66).</summary>
    public const string ClientCallDuration = "grpc.client.call.duration";

    /// <summary>Histogram, By: messages as they were sent, without framing (A66).</summary>
    public const string ClientAttemptSent = "grpc.client.attempt.sent_total_compressed_message_size";

    /// <summary>Histogram, By: messages as they came, without framing (A66).</summary>
    public const string ClientAttemptReceived = "grpc.client.attempt.rcvd_total_compressed_message_size";

    /// <summary>Histogram, s (A66).</summary>
    public const string ServerCallDuration = "grpc.server.call.duration";

    /// <summary>Histogram, s: how long no attempt ran between those of a call; only of calls with retries (A96).</summary>
    public const string ClientCallRetryDelay = "grpc.client.call.retry_delay";

    /// <summary>Histogram, {retry}: only of calls with any (A96).</summary>
    public const string ClientCallRetries = "grpc.client.call.retries";

    /// <summary>Histogram, {hedge}: only of calls with any (A96).</summary>
    public const string ClientCallHedges = "grpc.client.call.hedges";

    /// <summary>Histogram, s (semantic conventions).</summary>
    public const string RpcClientCallDuration = "rpc.client.call.duration";

    /// <summary>Histogram, s (semantic conventions).</summary>
    public const string RpcServerCallDuration = "rpc.server.call.duration";

    /// <summary>Counter, {attempt} (A94).</summary>
    public const string ConnectionAttemptsSucceeded = "grpc.subchannel.connection_attempts_succeeded";

    /// <summary>Counter, {attempt} (A94).</summary>
    public const string ConnectionAttemptsFailed = "grpc.subchannel.connection_attempts_failed";

    /// <summary>Counter, {disconnection} (A94).</summary>
    public const string Disconnections = "grpc.subchannel.disconnections";

    /// <summary>Up-down counter, {connection} (A94).</summary>
    public const string OpenConnections = "grpc.subchannel.open_connections";

    /// <summary>Counter, {ejection} (A91).</summary>
    public const string EjectionsEnforced = "grpc.lb.outlier_detection.ejections_enforced";

    /// <summary>Counter, {update}: weights were worked out, and too few endpoints had one of their own (A78).</summary>
    public const string WrrFallback = "grpc.lb.wrr.rr_fallback";

    /// <summary>Counter, {endpoint}: without a weight of its own yet, by update (A78).</summary>
    public const string WrrNotYetUsable = "grpc.lb.wrr.endpoint_weight_not_yet_usable";

    /// <summary>Counter, {endpoint}: whose last load report is too old, by update (A78).</summary>
    public const string WrrStale = "grpc.lb.wrr.endpoint_weight_stale";

    /// <summary>Histogram, {weight}: of each endpoint at each update, 0 without one of its own (A78).</summary>
    public const string WrrWeights = "grpc.lb.wrr.endpoint_weights";

    /// <summary>Gauge, {bool}: 1 while there is a working ADS stream (A78).</summary>
    public const string XdsConnected = "grpc.xds_client.connected";

    /// <summary>Counter, {failure}: how often the control plane went from healthy to not (A78).</summary>
    public const string XdsServerFailure = "grpc.xds_client.server_failure";

    /// <summary>Counter, {resource}: changed or not (A78).</summary>
    public const string XdsUpdatesValid = "grpc.xds_client.resource_updates_valid";

    /// <summary>Counter, {resource} (A78).</summary>
    public const string XdsUpdatesInvalid = "grpc.xds_client.resource_updates_invalid";

    /// <summary>Gauge, {resource} (A78).</summary>
    public const string XdsResources = "grpc.xds_client.resources";

    /// <summary>What is called, as <c>pricing.shop</c>; of an xDS client <see cref="WholeProcess"/>.</summary>
    public const string Target = "grpc.target";

    /// <summary>Our xDS client serves the whole process and no single channel.</summary>
    public const string WholeProcess = "#mesh";

    /// <summary><c>package.Service/Method</c>.</summary>
    public const string Method = "grpc.method";

    /// <summary>The status code's name, as <c>UNAVAILABLE</c>.</summary>
    public const string Status = "grpc.status";

    /// <summary>The cluster's name (A89).</summary>
    public const string BackendService = "grpc.lb.backend_service";

    /// <summary><c>privacy_and_integrity</c> or <c>none</c>.</summary>
    public const string SecurityLevel = "grpc.security_level";

    /// <summary><c>consecutive_failures</c> (ours), <c>success_rate</c>, <c>failure_percentage</c>.</summary>
    public const string DetectionMethod = "grpc.lb.outlier_detection.detection_method";

    public const string XdsServer = "grpc.xds.server";
    public const string XdsAuthority = "grpc.xds.authority";
    public const string XdsResourceType = "grpc.xds.resource_type";

    /// <summary><c>requested</c>, <c>does_not_exist</c>, <c>acked</c>, <c>nacked</c>, <c>nacked_but_cached</c>, <c>received_error</c>, <c>received_error_but_cached</c>.</summary>
    public const string XdsCacheState = "grpc.xds.cache_state";

    public const string RpcSystem = "rpc.system.name";
    public const string RpcMethod = "rpc.method";
    public const string RpcStatus = "rpc.response.status_code";
    public const string ServerAddress = "server.address";
    public const string ErrorType = "error.type";

    private static readonly string[] Names =
    [
        "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
    ];

    /// <summary>The name of a status code; what is none is <c>UNKNOWN</c>.</summary>
    public static string NameOf(int status) => (uint)status < (uint)Names.Length ? Names[status] : "UNKNOWN";
}
