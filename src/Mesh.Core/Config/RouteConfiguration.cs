using Mesh.Traffic;

namespace Mesh.Config;

/// <summary>Routes by authority.</summary>
internal sealed record RouteConfiguration(string Name, IReadOnlyList<VirtualHost> VirtualHosts);

/// <summary>The routes of some authorities.</summary>
/// <param name="Domains">Exact names, <c>*.suffix</c>, <c>prefix.*</c> or <c>*</c>; lower case.</param>
/// <param name="Routes">First match wins.</param>
internal sealed record VirtualHost(string Name, IReadOnlyList<string> Domains, IReadOnlyList<Route> Routes)
{
    /// <summary>What is different here of the listener's filters, by filter name.</summary>
    public FilterOverrides FilterOverrides { get; init; } = FilterOverrides.None;
}

/// <summary>What to do with the calls that match.</summary>
/// <param name="Name">For metrics and logs; may be empty.</param>
internal sealed record Route(string Name, RouteMatch Match, RouteAction Action)
{
    /// <summary>What is different here of the listener's filters, by filter name.</summary>
    public FilterOverrides FilterOverrides { get; init; } = FilterOverrides.None;

    /// <summary>After this moment fault injection does nothing here, whoever armed it; null is never.</summary>
    public DateTimeOffset? FaultExpiresAt { get; init; }

    /// <summary>The virtual host's and the configuration's are in it already, in the order in which they apply.</summary>
    public HeaderChanges RequestHeaders { get; init; } = HeaderChanges.None;

    public HeaderChanges ResponseHeaders { get; init; } = HeaderChanges.None;
}

/// <summary>Which calls a route takes: all conditions hold.</summary>
/// <param name="Path">Null matches every path.</param>
/// <param name="Headers">Conditions on headers; <c>:method</c> is a header here.</param>
/// <param name="FractionPerMillion">Share of the matching calls to take; null is all.</param>
internal sealed record RouteMatch(StringMatcher? Path, IReadOnlyList<HeaderMatcher> Headers, int? FractionPerMillion)
{
    /// <summary>The path's shape, such as <c>/users/{id}</c>; null is none. Exclusive with <see cref="Path"/>.</summary>
    public PathTemplate? Template { get; init; }

    /// <summary>Conditions on query parameters, exact names.</summary>
    public IReadOnlyList<HeaderMatcher> QueryParameters { get; init; } = [];
}

/// <summary>What becomes of a matched call.</summary>
internal abstract record RouteAction
{
    /// <summary>Send it to one of the clusters, by weight.</summary>
    /// <param name="Clusters">At least one, with weights of 1 or more.</param>
    internal sealed record Forward(IReadOnlyList<WeightedCluster> Clusters) : RouteAction
    {
        /// <summary>Longest time from the call's start to the end of its response; null is none.</summary>
        public TimeSpan? Timeout { get; init; }

        /// <summary>What to try again; null is nothing.</summary>
        public RetryPolicy? Retry { get; init; }

        /// <summary>Longest time without a byte in either direction; null is none.</summary>
        public TimeSpan? IdleTimeout { get; init; }

        /// <summary>Longest time from the end of an attempt's request to the headers of its response; null is none.</summary>
        public TimeSpan? ResponseHeadersTimeout { get; init; }

        /// <summary>Sends another attempt when the first one takes long; null is never. Only calls that may be done twice.</summary>
        public Hedging? Hedging { get; init; }

        /// <summary>The authority that the server sees; null leaves the caller's.</summary>
        public string? HostRewrite { get; init; }

        /// <summary>The path that the server sees; null leaves the caller's.</summary>
        public PathRewrite? PathRewrite { get; init; }

        /// <summary>Clusters that get a copy of the request; their answers are dropped.</summary>
        public IReadOnlyList<Mirror> Mirrors { get; init; } = [];

        /// <summary>What a call's hash is made of, in order, where the cluster goes by it; empty is chance.</summary>
        public IReadOnlyList<HashPolicy> HashPolicies { get; init; } = [];
    }

    /// <summary>Answer at once with a redirect.</summary>
    /// <param name="Status">301, 302, 303, 307 or 308.</param>
    internal sealed record Redirect(int Status) : RouteAction
    {
        /// <summary>Null leaves the caller's.</summary>
        public string? Scheme { get; init; }

        /// <summary>Without port, IPv6 in brackets; null leaves the caller's.</summary>
        public string? Host { get; init; }

        /// <summary>Null leaves the caller's, and is the scheme's own where scheme or host is new (Envoy).</summary>
        public int? Port { get; init; }

        /// <summary>Null leaves the caller's. A query in it replaces the caller's (Envoy).</summary>
        public PathRewrite? Path { get; init; }

        public bool StripQuery { get; init; }
    }

    /// <summary>Answer at once without a server.</summary>
    internal sealed record DirectResponse(int Status, string Body) : RouteAction;

    /// <summary>The route was understood but does not forward (inbound routes, redirects): a matching outbound call fails.</summary>
    internal sealed record NotForwarding(string Reason) : RouteAction;
}

/// <summary>A cluster and its share.</summary>
internal sealed record WeightedCluster(string Name, int Weight)
{
    /// <summary>What is different here of the listener's filters, by filter name.</summary>
    public FilterOverrides FilterOverrides { get; init; } = FilterOverrides.None;

    public HeaderChanges RequestHeaders { get; init; } = HeaderChanges.None;

    public HeaderChanges ResponseHeaders { get; init; } = HeaderChanges.None;
}

/// <summary>A second attempt beside the first.</summary>
/// <param name="Percentile">Of the route's recent latencies after which it is sent, 50–99; 0 goes by <paramref name="Delay"/> alone.</param>
/// <param name="Delay">With a percentile: the shortest wait; else the wait.</param>
/// <param name="MaxAttempts">In all, 2–4.</param>
internal sealed record Hedging(int Percentile, TimeSpan Delay, int MaxAttempts);

/// <summary>How a path becomes another; the query stays.</summary>
internal abstract record PathRewrite
{
    internal sealed record Full(string Path) : PathRewrite;

    /// <summary>What the route's prefix match took is replaced.</summary>
    internal sealed record Prefix(string Replacement) : PathRewrite;

    internal sealed record Pattern(TextRewrite Rewrite) : PathRewrite;

    /// <summary>The variables of the route's path template are put in.</summary>
    internal sealed record Template(string Text) : PathRewrite;
}

/// <summary>A copy of some calls.</summary>
/// <param name="PerMillion">Share, 0–1,000,000.</param>
internal sealed record Mirror(string Cluster, int PerMillion);

/// <summary>Changes of headers, in the order in which they apply. Of one place's, removals come first, then what replaces, then what adds (Envoy).</summary>
internal sealed record HeaderChanges(IReadOnlyList<HeaderChange> Changes)
{
    public static HeaderChanges None { get; } = new([]);

    public bool IsNone => Changes.Count == 0;

    /// <summary>These first, then the others.</summary>
    public HeaderChanges Then(HeaderChanges others) => others.IsNone ? this : IsNone ? others : new([.. Changes, .. others.Changes]);
}

/// <param name="Name">Lower case.</param>
/// <param name="Value">Empty for <see cref="HeaderChangeKind.Remove"/>.</param>
internal sealed record HeaderChange(string Name, string Value, HeaderChangeKind Kind);

/// <summary>What becomes of a header that is there already (xDS HeaderAppendAction, and removal).</summary>
internal enum HeaderChangeKind
{
    /// <summary>Adds another value.</summary>
    Append,

    /// <summary>Leaves it.</summary>
    AddIfAbsent,

    /// <summary>Replaces it; adds it when absent.</summary>
    Set,

    /// <summary>Replaces it; adds nothing when absent.</summary>
    SetIfPresent,

    /// <summary>Takes it away.</summary>
    Remove,
}

/// <summary>One part of a call's hash (gRFC A42).</summary>
/// <param name="Header">The request header; null is the client itself, so that all its calls go together (<c>io.grpc.channel_id</c>).</param>
/// <param name="Terminal">When there is a hash now, the policies after it do not count.</param>
internal sealed record HashPolicy(string? Header, bool Terminal)
{
    /// <summary>What is replaced in the header's value before it is hashed; null is nothing.</summary>
    public TextRewrite? Rewrite { get; init; }
}

/// <summary>Replaces every match of an expression.</summary>
/// <param name="Expression">Linear in time.</param>
/// <param name="Replacement">In .NET's syntax: <c>${1}</c> is a group.</param>
internal sealed record TextRewrite(System.Text.RegularExpressions.Regex Expression, string Replacement);

/// <summary>What is tried again, how often and how soon.</summary>
/// <param name="On">The conditions.</param>
/// <param name="NumRetries">Attempts beyond the first, 0–4 (gRFC A44: five attempts at most).</param>
/// <param name="PerTryTimeout">Longest time of one attempt up to its response headers; null is none.</param>
/// <param name="BaseInterval">First back-off; default 25 ms (Envoy).</param>
/// <param name="MaxInterval">Longest back-off; default 10 × base (Envoy).</param>
/// <param name="RetriableStatusCodes">Statuses that <see cref="RetryOn.RetriableStatusCodes"/> means.</param>
internal sealed record RetryPolicy(
    RetryOn On, int NumRetries, TimeSpan? PerTryTimeout, TimeSpan BaseInterval, TimeSpan MaxInterval, IReadOnlyList<int> RetriableStatusCodes)
{
    /// <summary>Response headers, any of which <see cref="RetryOn.RetriableHeaders"/> means.</summary>
    public IReadOnlyList<HeaderMatcher> RetriableHeaders { get; init; } = [];

    /// <summary>Only requests that have one of these are tried again; empty is all.</summary>
    public IReadOnlyList<HeaderMatcher> RetriableRequestHeaders { get; init; } = [];
}

/// <summary>Retry conditions, named after Envoy's <c>retry_on</c>.</summary>
[Flags]
internal enum RetryOn
{
    None = 0,
    ServerError = 1,
    GatewayError = 2,
    Reset = 4,
    ConnectFailure = 8,
    RefusedStream = 16,
    RetriableStatusCodes = 32,
    GrpcCancelled = 64,
    GrpcDeadlineExceeded = 128,
    GrpcInternal = 256,
    GrpcResourceExhausted = 512,
    GrpcUnavailable = 1024,
    RetriableHeaders = 2048,

    /// <summary>It failed before the request was sent: nothing can have arrived.</summary>
    ResetBeforeRequest = 4096,

    /// <summary>Status 409, which another attempt may resolve (Envoy).</summary>
    Retriable4xx = 8192,
}
