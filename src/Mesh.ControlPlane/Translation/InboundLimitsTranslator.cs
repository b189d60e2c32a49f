using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Hcm;
using Mesh.Protos.Traffic;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes what a workload takes on at most. Only our own nodes know the filter.</summary>
internal static class InboundLimitsTranslator
{
    private const string FilterName = "io.meshlib.limits";

    /// <param name="services">What holds for each Service that the address stands behind: all rate limits apply, and the lowest concurrency.</param>
    /// <returns>Null when nothing limits it.</returns>
    public static HttpFilter? Filter(IReadOnlyList<EffectiveSettings> services)
    {
        var limits = new InboundLimits();
        var seen = new HashSet<SettingValue>();
        foreach (var settings in services)
        {
            // One policy for the namespace reaches the workload by each of its Services, and counts once.
            if (settings.Find(LimitSettings.RateLimits) is { } value && seen.Add(value))
            {
                foreach (var limit in settings.Get(LimitSettings.RateLimits))
                {
                    limits.RateLimits.Add(Translate(limit, Unique(limits, limit.Name)));
                }
            }
        }

        var strictest = services.Where(s => s.Get(LimitSettings.ServerMaxRequests) > 0).MinBy(s => s.Get(LimitSettings.ServerMaxRequests));
        if (strictest is not null)
        {
            limits.Concurrency = new Protos.Traffic.Concurrency
            {
                MaxRequests = (uint)strictest.Get(LimitSettings.ServerMaxRequests),
                MaxQueue = (uint)strictest.Get(LimitSettings.ServerMaxQueue),
                QueueTimeout = Duration.FromTimeSpan(strictest.Get(LimitSettings.ServerQueueTimeout)),
            };
        }

        return limits.RateLimits.Count == 0 && limits.Concurrency is null
            ? null
            : new HttpFilter { Name = FilterName, IsOptional = true, TypedConfig = Any.Pack(limits) };
    }

    private static RateLimit Translate(RateLimitRule rule, string name)
    {
        var limit = new RateLimit
        {
            Name = name,
            Requests = (uint)rule.Requests,
            Interval = Duration.FromTimeSpan(rule.Interval),
            Burst = (uint)rule.Burst,
            Scope = rule.Per switch
            {
                RateLimitScope.Caller => RateLimit.Types.Scope.Caller,
                RateLimitScope.Header => RateLimit.Types.Scope.Header,
                _ => RateLimit.Types.Scope.Shared,
            },
            Header = rule.Header,
        };
        limit.Matches.AddRange(rule.Matches.SelectMany(m => MatchTranslator.Translate(m, mesh: true)));
        return limit;
    }

    private static string Unique(InboundLimits limits, string name)
    {
        var unique = name;
        for (var i = 2; limits.RateLimits.Any(l => l.Name == unique); i++)
        {
            unique = $"{name}-{i}";
        }

        return unique;
    }
}
