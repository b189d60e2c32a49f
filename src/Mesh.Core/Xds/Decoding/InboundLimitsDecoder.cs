using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Filters;
using Wire = Mesh.Protos.Traffic;

namespace Mesh.Xds.Decoding;

/// <summary>What a server takes on at most: our own filter, and Envoy's local rate limit.</summary>
internal static class InboundLimitsDecoder
{
    /// <summary>Each costs every request a look.</summary>
    public const int MaxRateLimits = 256;
    private const int Million = 1_000_000;

    /// <summary>Longer ones are quotas, which a restart must not forget.</summary>
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(1);

    private static readonly InboundLimits None = new();

    public static InboundLimits Decode(Wire.InboundLimits given, string path, DecodeErrors errors)
    {
        if (given.RateLimits.Count > MaxRateLimits)
        {
            errors.Add($"{path}.rate_limits", $"has {given.RateLimits.Count} entries", $"Use at most {MaxRateLimits}.");
        }

        var names = new HashSet<string>(StringComparer.Ordinal);
        var limits = new List<RateLimit>(given.RateLimits.Count);
        for (var i = 0; i < given.RateLimits.Count; i++)
        {
            var (limit, here) = (given.RateLimits[i], $"{path}.rate_limits[{i}]");
            if (limit.Name.Length == 0)
            {
                errors.Add($"{here}.name", "is empty", "Name the limit: metrics and answers say it.");
            }
            else if (!names.Add(limit.Name))
            {
                errors.Add($"{here}.name", $"repeats '{limit.Name}'", "Names must be unique.");
            }

            limits.Add(Rate(limit, here, errors));
        }

        return new InboundLimits { RateLimits = limits, Concurrency = given.Concurrency is null ? null : Concurrency(given.Concurrency, $"{path}.concurrency", errors) };
    }

    /// <summary>A token bucket as an even pace with a burst: its tokens come one by one and not a fill at a time.</summary>
    /// <remarks>Without <c>token_bucket</c>, or with a share of 0 % (Envoy's default), it does nothing but may be overridden by a route.</remarks>
    public static InboundLimits Decode(LocalRateLimit given, string path, DecodeErrors errors)
    {
        if (given.StatPrefix.Length == 0)
        {
            errors.Add($"{path}.stat_prefix", "is empty", "Name the limit: metrics and answers say it.");
        }

        var enabled = All(given.FilterEnabled, $"{path}.filter_enabled", errors);
        var enforced = All(given.FilterEnforced, $"{path}.filter_enforced", errors);
        if (given.TokenBucket is not { } bucket)
        {
            return None;
        }

        var here = $"{path}.token_bucket";
        var burst = Count(bucket.MaxTokens, $"{here}.max_tokens", errors);
        var requests = Count(bucket.TokensPerFill ?? 1, $"{here}.tokens_per_fill", errors);
        var interval = Interval(bucket.FillInterval, $"{here}.fill_interval", errors);
        return enabled && enforced
            ? new InboundLimits { RateLimits = [new RateLimit(given.StatPrefix, requests, interval, burst, RateLimitScope.Shared, null, [])] }
            : None;
    }

    private static RateLimit Rate(Wire.RateLimit given, string path, DecodeErrors errors)
    {
        var requests = Count(given.Requests, $"{path}.requests", errors);
        var scope = given.Scope switch
        {
            Wire.RateLimit.Types.Scope.Shared => RateLimitScope.Shared,
            Wire.RateLimit.Types.Scope.Caller => RateLimitScope.Caller,
            Wire.RateLimit.Types.Scope.Header => RateLimitScope.Header,
            _ => (RateLimitScope?)null,
        };
        if (scope is null)
        {
            errors.Add($"{path}.scope", $"is {(int)given.Scope}", "Use SHARED, CALLER or HEADER.");
        }

        // Names are lower case on the wire of HTTP/2.
        var header = given.Header.ToLowerInvariant();
        if (scope == RateLimitScope.Header && header.Length == 0)
        {
            errors.Add($"{path}.header", "is empty", "Name the header whose values are limited.");
        }
        else if (scope != RateLimitScope.Header && header.Length > 0)
        {
            errors.Add($"{path}.header", $"is '{given.Header}', but the scope is not HEADER", "Leave it out, or use the scope HEADER.");
        }

        var matches = new List<RouteMatch>(given.Matches.Count);
        for (var i = 0; i < given.Matches.Count; i++)
        {
            if (RouteDecoder.Match(given.Matches[i], $"{path}.matches[{i}]", errors) is { } match)
            {
                matches.Add(match);
            }
        }

        return new RateLimit(
            given.Name,
            requests,
            Interval(given.Interval, $"{path}.interval", errors),
            given.Burst == 0 ? requests : Count(given.Burst, $"{path}.burst", errors),
            scope ?? RateLimitScope.Shared,
            header.Length == 0 ? null : header,
            matches);
    }

    private static ServerConcurrency Concurrency(Wire.Concurrency given, string path, DecodeErrors errors)
    {
        var timeout = errors.Time(given.QueueTimeout, $"{path}.queue_timeout") ?? ServerConcurrency.DefaultQueueTimeout;
        if (timeout == TimeSpan.Zero || timeout > TimeSpan.FromMinutes(10))
        {
            errors.Add($"{path}.queue_timeout", $"is {timeout.TotalSeconds} s", "Use more than zero and at most ten minutes.");
        }

        return new ServerConcurrency(Count(given.MaxRequests, $"{path}.max_requests", errors), (int)Math.Min(given.MaxQueue, int.MaxValue), timeout);
    }

    /// <summary>True for all requests, false for none. Absent is none: so it is with Envoy, for safety.</summary>
    private static bool All(RuntimeFractionalPercent? share, string path, DecodeErrors errors)
    {
        var part = FractionDecoder.PerMillion(share, path, errors);
        if (part is > 0 and < Million)
        {
            errors.Add(path, $"is {part / 10_000.0:0.####} %", "Use 0 % or 100 %: a limit for some of the requests is not supported.");
        }

        return part == Million;
    }

    private static int Count(uint given, string path, DecodeErrors errors)
    {
        if (given == 0)
        {
            errors.Add(path, "is 0", "Use 1 or more.");
        }

        return (int)Math.Clamp(given, 1, int.MaxValue);
    }

    private static TimeSpan Interval(Duration? given, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            errors.Add(path, "is not set", "Give the time, such as 1s.");
            return LongestInterval;
        }

        var interval = errors.Time(given, path);
        if (interval == TimeSpan.Zero || interval > LongestInterval)
        {
            errors.Add(path, $"is {interval.Value.TotalSeconds} s", "Use more than zero and at most one day.");
        }

        return interval > TimeSpan.Zero ? interval.Value : LongestInterval;
    }
}
