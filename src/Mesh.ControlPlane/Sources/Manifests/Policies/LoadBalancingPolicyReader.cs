using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Reads LoadBalancingPolicy: which endpoint a call goes to, and how connections live.</summary>
internal static class LoadBalancingPolicyReader
{
    private const int MaxRingSize = 8 * 1024 * 1024; // gRFC A42

    public static readonly PolicyKind Kind = new("LoadBalancingPolicy", PolicyKind.Services, Read);

    private static void Read(PolicyFields fields)
    {
        var spec = fields.Spec;
        BalancingAlgorithm? algorithm = null;
        if (spec.Find("algorithm") is not null && Enum.TryParse<BalancingAlgorithm>(spec.Word("algorithm", null, Enum.GetNames<BalancingAlgorithm>()), out var read))
        {
            algorithm = read;
            fields.Add(spec, "algorithm", BalancingSettings.Algorithm, read);
        }

        ReadAlgorithms(fields, algorithm);
        ReadSlowStart(fields, algorithm);
        if (spec.Word("locality", string.Empty, "PreferNear", "Any") is { Length: > 0 } locality)
        {
            fields.Add(spec, "locality", BalancingSettings.PreferNear, locality == "PreferNear");
        }

        fields.Integer(spec, "panicThresholdPercent", BalancingSettings.PanicThreshold, 0, 100);
        if (spec.Map("connections") is { } connections)
        {
            fields.Time(connections, "maxAge", BalancingSettings.ConnectionMaxAge, zero: "none");
            fields.Time(connections, "idleTimeout", BalancingSettings.ConnectionIdleTimeout);
            fields.Integer(connections, "warm", BalancingSettings.WarmConnections, 0, 8);
            connections.Close();
        }
    }

    private static void ReadAlgorithms(PolicyFields fields, BalancingAlgorithm? algorithm)
    {
        if (Section(fields, "leastRequest", BalancingAlgorithm.LeastRequest, algorithm) is { } least)
        {
            fields.Integer(least, "choices", BalancingSettings.Choices, 2, 10);
            least.Close();
        }

        if (Section(fields, "pickFirst", BalancingAlgorithm.PickFirst, algorithm) is { } first)
        {
            fields.Flag(first, "shuffle", BalancingSettings.Shuffle);
            first.Close();
        }

        ReadRing(fields, algorithm);
        if (Section(fields, "weightedRoundRobin", BalancingAlgorithm.WeightedRoundRobin, algorithm) is { } weighted)
        {
            fields.Flag(weighted, "outOfBand", BalancingSettings.OutOfBand);
            fields.Time(weighted, "outOfBandPeriod", BalancingSettings.OutOfBandPeriod);
            fields.Time(weighted, "blackoutPeriod", BalancingSettings.Blackout, zero: "none");
            fields.Time(weighted, "expirationPeriod", BalancingSettings.Expiration, zero: "none");
            fields.Time(weighted, "updatePeriod", BalancingSettings.UpdatePeriod);
            fields.Number(weighted, "errorPenalty", BalancingSettings.ErrorPenalty, 0, 1000);
            if (weighted.Find("metrics") is not null)
            {
                fields.Add(weighted, "metrics", BalancingSettings.Metrics, [.. weighted.Texts("metrics").Select(t => t.Text)]);
            }

            weighted.Close();
        }
    }

    private static void ReadRing(PolicyFields fields, BalancingAlgorithm? algorithm)
    {
        if (Section(fields, "ringHash", BalancingAlgorithm.RingHash, algorithm) is not { } ring)
        {
            if (algorithm == BalancingAlgorithm.RingHash && fields.Spec.Find("ringHash") is null)
            {
                fields.Spec.Missing("ringHash", "Add ringHash.hashOn: what calls that belong together have in common.");
            }

            return;
        }

        fields.Integer(ring, "minSize", BalancingSettings.MinRingSize, 1, MaxRingSize);
        fields.Integer(ring, "maxSize", BalancingSettings.MaxRingSize, 1, MaxRingSize);
        if (ring.Integer("minSize", 1, MaxRingSize) > ring.Integer("maxSize", 1, MaxRingSize))
        {
            ring.Bad("minSize", $"{ring.Integer("minSize", 1, MaxRingSize)}", "It must not be above maxSize.");
        }

        var sources = ring.Maps("hashOn").Select(ReadHashSource).OfType<HashSource>().ToImmutableArray();
        if (sources.Length > 0)
        {
            fields.Add(ring, "hashOn", BalancingSettings.HashOn, sources);
        }
        else if (!ring.Problems.Refused)
        {
            ring.Missing("hashOn", "Name what calls that belong together have in common: '- header: x-user-id', or '- client: true' for all calls of one client.");
        }

        ring.Close();
    }

    private static HashSource? ReadHashSource(YamlMap source)
    {
        var header = source.Text("header");
        var client = source.Flag("client");
        var terminal = source.Flag("terminal") ?? false;
        source.Close();
        if (source.Problems.Refused)
        {
            return null;
        }

        if ((header is { Length: > 0 }) == (client == true))
        {
            source.Problems.Refuse(source.Node, $"{source.Field("header")} and {source.Field("client")}: give exactly one, a header's name or client: true.");
            return null;
        }

        return new HashSource(header?.ToLowerInvariant(), terminal);
    }

    private static void ReadSlowStart(PolicyFields fields, BalancingAlgorithm? algorithm)
    {
        if (fields.Spec.Map("slowStart") is not { } slow)
        {
            return;
        }

        if (algorithm is { } named && !BalancingSettings.HasSlowStart(named))
        {
            slow.Problems.Refuse(slow.Node, $"{fields.Spec.Field("slowStart")} has no effect with algorithm {named}. Use PeakEwma, LeastRequest or RoundRobin, or remove it.");
        }

        fields.Time(slow, "window", BalancingSettings.SlowStartWindow, zero: "off");
        fields.Number(slow, "aggression", BalancingSettings.SlowStartAggression, 0.1, 10);
        fields.Integer(slow, "minWeightPercent", BalancingSettings.SlowStartMinWeight, 0, 100);
        slow.Close();
    }

    /// <summary>The settings of one algorithm; those of another than the policy names can only be a mistake.</summary>
    private static YamlMap? Section(PolicyFields fields, string field, BalancingAlgorithm owner, BalancingAlgorithm? algorithm)
    {
        var section = fields.Spec.Map(field);
        if (section is not null && algorithm is { } named && named != owner)
        {
            section.Problems.Refuse(section.Node, $"{fields.Spec.Field(field)} has no effect with algorithm {named}. Remove it, or use algorithm: {owner}.");
        }

        return section;
    }
}
