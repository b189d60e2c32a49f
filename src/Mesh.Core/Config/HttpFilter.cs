using System.Collections.Frozen;
using Mesh.Traffic;

namespace Mesh.Config;

/// <summary>One HTTP filter of a listener that does something here (gRFC A39).</summary>
/// <param name="Name">Its name in the listener: overrides of routes refer to it.</param>
internal sealed record HttpFilter(string Name, HttpFilterSettings Settings);

/// <summary>What a filter does.</summary>
internal abstract record HttpFilterSettings
{
    /// <summary>It decides who may do what, so that a request must mean one thing only.</summary>
    public virtual bool Guards => false;
}

/// <summary>Delays or refuses calls on purpose (gRFC A33).</summary>
internal sealed record FaultInjection : HttpFilterSettings
{
    /// <summary>Fixed; null is none, unless a header tells.</summary>
    public TimeSpan? Delay { get; init; }

    /// <summary>The delay, in ms, comes from header <c>x-envoy-fault-delay-request</c>.</summary>
    public bool DelayByHeader { get; init; }

    /// <summary>Share of the calls, 0–1,000,000.</summary>
    public int DelayPerMillion { get; init; }

    /// <summary>Parts of a million that 1 stands for in header <c>x-envoy-fault-delay-request-percentage</c>: the denominator of the share.</summary>
    public int DelayUnitPerMillion { get; init; } = 10_000;

    /// <summary>200–599; null is none.</summary>
    public int? AbortHttpStatus { get; init; }

    /// <summary>0–16; null is none.</summary>
    public int? AbortGrpcStatus { get; init; }

    /// <summary>The status comes from header <c>x-envoy-fault-abort-request</c> or <c>x-envoy-fault-abort-grpc-request</c>.</summary>
    public bool AbortByHeader { get; init; }

    /// <summary>Share of the calls, 0–1,000,000.</summary>
    public int AbortPerMillion { get; init; }

    /// <summary>Parts of a million that 1 stands for in header <c>x-envoy-fault-abort-request-percentage</c>.</summary>
    public int AbortUnitPerMillion { get; init; } = 10_000;

    /// <summary>Only calls that match all of these.</summary>
    public IReadOnlyList<HeaderMatcher> Headers { get; init; } = [];

    /// <summary>Most calls that are delayed at once; more go on without a fault. Null is no limit.</summary>
    public int? MaxActive { get; init; }

    /// <summary>After this moment it does nothing; null is never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>It only stands where overrides of routes refer to it.</summary>
    public bool IsNone => ((Delay is null && !DelayByHeader) || DelayPerMillion == 0)
        && ((AbortHttpStatus is null && AbortGrpcStatus is null && !AbortByHeader) || AbortPerMillion == 0);
}

/// <summary>Calls of one session meet the same endpoint (gRFC A55, Gateway API sessionPersistence).</summary>
/// <param name="Name">Of the cookie or header.</param>
/// <param name="Strict">A session whose endpoint is gone fails instead of moving on.</param>
internal sealed record SessionAffinity(SessionCarrier Carrier, string Name, bool Strict) : HttpFilterSettings
{
    /// <summary>Only stands where overrides of routes refer to it.</summary>
    public static SessionAffinity None { get; } = new(SessionCarrier.Cookie, string.Empty, false);

    public bool IsNone => Name.Length == 0;

    /// <summary>Of the cookie; zero is a session cookie.</summary>
    public TimeSpan Ttl { get; init; }

    /// <summary>Of the cookie; empty is every path.</summary>
    public string Path { get; init; } = string.Empty;
}

/// <summary>What carries a session.</summary>
internal enum SessionCarrier
{
    Cookie,
    Header,
}

/// <summary>What a server takes on at most.</summary>
internal sealed record InboundLimits : HttpFilterSettings
{
    public IReadOnlyList<RateLimit> RateLimits { get; init; } = [];

    /// <summary>Null is no limit.</summary>
    public ServerConcurrency? Concurrency { get; init; }
}

/// <summary>So many requests in a time, evenly (GCRA).</summary>
/// <param name="Name">For metrics and answers.</param>
/// <param name="Requests">1 or more, within <paramref name="Interval"/>.</param>
/// <param name="Burst">At once, beyond the even pace, 1 or more.</param>
/// <param name="Header">For <see cref="RateLimitScope.Header"/>.</param>
/// <param name="Matches">Any of them; none takes every request.</param>
internal sealed record RateLimit(string Name, int Requests, TimeSpan Interval, int Burst, RateLimitScope Scope, string? Header, IReadOnlyList<RouteMatch> Matches);

/// <summary>Who shares a rate limit.</summary>
internal enum RateLimitScope
{
    /// <summary>All callers.</summary>
    Shared,

    /// <summary>Each verified identity has its own; plaintext callers go by address.</summary>
    Caller,

    /// <summary>Each value of a header has its own.</summary>
    Header,
}

/// <summary>How many requests a server works on at once, and how many wait.</summary>
/// <param name="MaxRequests">1 or more.</param>
/// <param name="MaxQueue">0 or more.</param>
/// <param name="QueueTimeout">Longest wait.</param>
internal sealed record ServerConcurrency(int MaxRequests, int MaxQueue, TimeSpan QueueTimeout)
{
    /// <summary>Where nobody says how long: enough for a burst, short enough that callers still wait.</summary>
    public static readonly TimeSpan DefaultQueueTimeout = TimeSpan.FromSeconds(1);
}

/// <summary>What is different at one place of a listener's filters, by filter name. A null setting turns the filter off there.</summary>
internal sealed record FilterOverrides(FrozenDictionary<string, HttpFilterSettings?> ByName)
{
    public static FilterOverrides None { get; } = new(FrozenDictionary<string, HttpFilterSettings?>.Empty);

    /// <summary>What is in force of a filter, most specific place first (gRFC A39: the most specific override wins as a whole); null is off.</summary>
    public static HttpFilterSettings? Effective(HttpFilter filter, params ReadOnlySpan<FilterOverrides> mostSpecificFirst)
    {
        foreach (var overrides in mostSpecificFirst)
        {
            if (overrides.ByName.TryGetValue(filter.Name, out var settings))
            {
                return settings;
            }
        }

        return filter.Settings;
    }
}
