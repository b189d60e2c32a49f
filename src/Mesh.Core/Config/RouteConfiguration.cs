using Mesh.Traffic;

namespace Mesh.Config;

/// <summary>Routes by authority.</summary>
internal sealed record RouteConfiguration(string Name, IReadOnlyList<VirtualHost> VirtualHosts);

/// <summary>The routes of some authorities.</summary>
/// <param name="Domains">Exact names, <c>*.suffix</c>, <c>prefix.*</c> or <c>*</c>; lower case.</param>
/// <param name="Routes">First match wins.</param>
internal sealed record VirtualHost(string Name, IReadOnlyList<string> Domains, IReadOnlyList<Route> Routes);

/// <summary>What to do with the calls that match.</summary>
/// <param name="Name">For metrics and logs; may be empty.</param>
internal sealed record Route(string Name, RouteMatch Match, RouteAction Action);

/// <summary>Which calls a route takes: all conditions hold.</summary>
/// <param name="Path">Null matches every path.</param>
/// <param name="Headers">Conditions on headers; <c>:method</c> is a header here.</param>
/// <param name="FractionPerMillion">Share of the matching calls to take; null is all.</param>
internal sealed record RouteMatch(StringMatcher? Path, IReadOnlyList<HeaderMatcher> Headers, int? FractionPerMillion)
{
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

        /// <summary>What a call's hash is made of, in order, where the cluster goes by it; empty is chance.</summary>
        public IReadOnlyList<HashPolicy> HashPolicies { get; init; } = [];
    }

    /// <summary>Answer at once without a server.</summary>
    internal sealed record DirectResponse(int Status, string Body) : RouteAction;

    /// <summary>The route was understood but does not forward (inbound routes, redirects): a matching outbound call fails.</summary>
    internal sealed record NotForwarding(string Reason) : RouteAction;
}

/// <summary>A cluster and its share.</summary>
internal sealed record WeightedCluster(string Name, int Weight);

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
/// <param name="NumRetries">Attempts beyond the first, 1–4 (gRFC A44: five attempts at most).</param>
/// <param name="PerTryTimeout">Longest time of one attempt up to its response headers; null is none.</param>
/// <param name="BaseInterval">First back-off; default 25 ms (Envoy).</param>
/// <param name="MaxInterval">Longest back-off; default 10 × base (Envoy).</param>
/// <param name="RetriableStatusCodes">Statuses that <see cref="RetryOn.RetriableStatusCodes"/> means.</param>
internal sealed record RetryPolicy(
    RetryOn On, int NumRetries, TimeSpan? PerTryTimeout, TimeSpan BaseInterval, TimeSpan MaxInterval, IReadOnlyList<int> RetriableStatusCodes);

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
}
