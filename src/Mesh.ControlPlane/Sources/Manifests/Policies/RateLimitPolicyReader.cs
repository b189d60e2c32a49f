using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads RateLimitPolicy: how many requests the workloads behind a Service take.</summary>
internal static class RateLimitPolicyReader
{
    private const int MaxLimits = 16;

    // Longer ones are quotas, which a restart would forget.
    private static readonly TimeSpan LongestInterval = TimeSpan.FromDays(1);

    public static readonly PolicyKind Kind = new("RateLimitPolicy", PolicyKind.Services, Read);

    private static void Read(PolicyFields fields)
    {
        var limits = ImmutableArray.CreateBuilder<RateLimitRule>();
        foreach (var limit in fields.Spec.Maps("limits"))
        {
            if (ReadLimit(limit) is not { } read)
            {
                continue;
            }

            if (limits.Any(l => l.Name == read.Name))
            {
                limit.Bad("name", read.Name, "Another limit of this policy has that name: give each its own, metrics tell them apart by it.");
            }

            limits.Add(read);
        }

        if (fields.Spec.Find("limits") is null)
        {
            fields.Spec.Missing("limits", "Add a limit, or write limits: [] to lift those of the namespace.");
            return;
        }

        if (limits.Count > MaxLimits)
        {
            fields.Spec.Problems.Refuse(fields.Spec.Find("limits")!.Value, $"spec.limits has {limits.Count} entries. Use at most {MaxLimits}: each is asked for every request.");
        }

        fields.Add(fields.Spec, "limits", LimitSettings.RateLimits, limits.ToImmutable());
    }

    private static RateLimitRule? ReadLimit(YamlMap limit)
    {
        var name = limit.Text("name", required: true);
        if (name is not null && !Names.IsLabel(name))
        {
            limit.Bad("name", name, Names.LabelRule);
        }

        var requests = limit.Integer("requests", 1, 10_000_000, required: true);
        var interval = PolicyFields.Length(limit, "interval");
        if (limit.Find("interval") is null)
        {
            limit.Missing("interval", "Add the time in which so many requests are taken, such as 1s or 1m.");
        }

        else if (interval > LongestInterval)
        {
            limit.Bad("interval", limit.Text("interval")!, "Use at most 24h: the count is kept in memory.");
        }

        var burst = limit.Integer("burst", 1, 10_000_000);
        var per = limit.Word("per", nameof(RateLimitScope.Shared), Enum.GetNames<RateLimitScope>());
        var header = limit.Text("header");
        if (per == nameof(RateLimitScope.Header) && header is null)
        {
            limit.Missing("header", "Name the request header whose values are counted apart.");
        }
        else if (header is not null && per is not null && per != nameof(RateLimitScope.Header))
        {
            limit.Bad("header", header, "It has no effect without per: Header.");
        }

        var matches = limit.Maps("matches").Select(HttpRouteReader.ReadMatch).ToImmutableArray();
        limit.Close();
        return name is null || requests is null || interval is null || !Enum.TryParse<RateLimitScope>(per, out var scope)
            ? null
            : new RateLimitRule(name, requests.Value, interval.Value, burst ?? 0, scope, header?.ToLowerInvariant() ?? string.Empty, matches);
    }
}
