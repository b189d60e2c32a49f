using System.Security.Cryptography;
using System.Text;
using Mesh.Config;
using Mesh.Policy;
using Mesh.Routing;
using Mesh.Traffic;

namespace Mesh.Inbound;

/// <summary>One rate limit compiled for requests: which of them it counts, and by whom. Thread-safe.</summary>
internal sealed class RateLimitRule(RateLimit limit, LocalRateLimiter limiter)
{
    /// <summary>Longer header values are remembered by their hash: a key's size is bounded as their number is.</summary>
    private const int LongestKey = 128;

    private readonly RouteMatcher[] _matchers = [.. limit.Matches.Select(m => new RouteMatcher(m))];

    public string Name => limit.Name;

    public RateLimitScope Scope => limit.Scope;

    public LocalRateLimiter Limiter => limiter;

    /// <summary>The request must be looked at.</summary>
    public bool NeedsHead { get; } = limit.Scope == RateLimitScope.Header || (limit.Matches.Count > 0 && !limit.Matches.Any(m => new RouteMatcher(m).TakesAll));

    /// <param name="head">Given where <see cref="NeedsHead"/>.</param>
    public bool Counts(RequestHead? head, Random random)
    {
        if (_matchers.Length == 0)
        {
            return true;
        }

        foreach (var matcher in _matchers)
        {
            if (matcher.TakesAll || (head is not null && matcher.Matches(head, random)))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Who pays. Requests without the header share one key: leaving it out is no way around.</summary>
    /// <param name="caller">The verified identity, else the address.</param>
    public string? Key(RequestHead? head, string caller)
    {
        if (limit.Scope != RateLimitScope.Header)
        {
            return limit.Scope == RateLimitScope.Caller ? caller : null;
        }

        var value = head?.Header(limit.Header!) ?? string.Empty;
        return value.Length <= LongestKey ? value : Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(value)));
    }
}
