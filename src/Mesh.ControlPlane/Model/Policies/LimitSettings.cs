using System.Collections.Immutable;

namespace Mesh.ControlPlane.Model.Policies;

/// <summary>What RateLimitPolicy and ConcurrencyPolicy say. 0 is no limit.</summary>
internal static class LimitSettings
{
    /// <summary>One value: the most specific policy's list as a whole.</summary>
    public static readonly Setting<ImmutableArray<RateLimitRule>> RateLimits = new("rateLimit.limits", [], limits => Shown.List(limits, l => l.ToString()));

    public static readonly Setting<int> ServerMaxRequests = new("concurrency.server.maxRequests", 0, Shown.Limit);

    public static readonly Setting<int> ServerMaxQueue =
        new("concurrency.server.maxQueue", 0, Shown.Number) { Matters = s => s.Get(ServerMaxRequests) > 0 };

    public static readonly Setting<TimeSpan> ServerQueueTimeout =
        new("concurrency.server.queueTimeout", TimeSpan.FromSeconds(1), Shown.Length) { Matters = s => s.Get(ServerMaxRequests) > 0 && s.Get(ServerMaxQueue) > 0 };

    public static readonly Setting<int> MaxRequests = new("concurrency.client.maxRequests", 1024, Shown.Limit);

    public static readonly Setting<int> MaxPending = new("concurrency.client.maxPending", 0, Shown.Limit);

    public static readonly Setting<int> MaxConnections = new("concurrency.client.maxConnections", 0, Shown.Limit);

    public static readonly ImmutableArray<Setting> RateLimit = [RateLimits];

    public static readonly ImmutableArray<Setting> Concurrency = [MaxRequests, MaxPending, MaxConnections, ServerMaxRequests, ServerMaxQueue, ServerQueueTimeout];
}

/// <param name="Requests">1 or more, within <paramref name="Interval"/>.</param>
/// <param name="Burst">At once; 0 is <paramref name="Requests"/>.</param>
/// <param name="Header">For <see cref="RateLimitScope.Header"/>; else empty.</param>
/// <param name="Matches">Any of them; none takes every request.</param>
internal sealed record RateLimitRule(
    string Name, int Requests, TimeSpan Interval, int Burst, RateLimitScope Per, string Header, ImmutableArray<RuleMatch> Matches)
{
    public override string ToString()
    {
        var who = Per switch { RateLimitScope.Caller => " per caller", RateLimitScope.Header => $" per value of {Header}", _ => string.Empty };
        var some = Matches.IsEmpty ? string.Empty : $" for {string.Join(" or ", Matches)}";
        return $"{Name}: {Requests} in {Shown.Length(Interval)}{who}{some}";
    }
}

/// <summary>Who shares a rate limit.</summary>
internal enum RateLimitScope
{
    Shared,
    Caller,
    Header,
}
