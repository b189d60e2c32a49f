using Google.Protobuf.WellKnownTypes;
using Mesh.Config;
using Mesh.Protos.Envoy.LoadBalancing;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds.Decoding;

/// <summary>How a cluster picks: the list of policies, else the older fields (gRFC A27, A42, A48, A52, A58, A62).</summary>
internal static class LoadBalancingDecoder
{
    // gRFC A52: a policy inside a policy, no deeper than this.
    private const int MaxDepth = 16;

    public static Balancing Decode(Wire.Cluster given, DecodeErrors errors)
    {
        if (given.LoadBalancingPolicy is { } list)
        {
            return List(list, "load_balancing_policy", 1, errors);
        }

        switch (given.LbPolicy)
        {
            case Wire.Cluster.Types.LbPolicy.RoundRobin:
                // Also what "unset" looks like: our default.
                return new(LoadBalancing.PeakEwma) { SlowStart = SlowStartDecoder.Decode(given.RoundRobinLbConfig?.SlowStartConfig, "round_robin_lb_config.slow_start_config", errors) };
            case Wire.Cluster.Types.LbPolicy.LeastRequest:
                var least = given.LeastRequestLbConfig;
                return new(LoadBalancing.LeastRequest)
                {
                    Choices = Choices(least?.ChoiceCount, "least_request_lb_config", errors),
                    SlowStart = SlowStartDecoder.Decode(least?.SlowStartConfig, "least_request_lb_config.slow_start_config", errors),
                };
            case Wire.Cluster.Types.LbPolicy.Random:
                return new(LoadBalancing.Random);
            case Wire.Cluster.Types.LbPolicy.RingHash:
                const string Path = "ring_hash_lb_config";
                var ring = given.RingHashLbConfig;
                if (ring is not null && ring.HashFunction != Wire.Cluster.Types.RingHashLbConfig.Types.HashFunction.XxHash)
                {
                    errors.Add($"{Path}.hash_function", $"is {ring.HashFunction}", "Use XX_HASH.");
                }

                return new(LoadBalancing.RingHash) { Ring = Size(ring?.MinimumRingSize, ring?.MaximumRingSize, Path, errors) };
            default:
                errors.Add("lb_policy", $"is {given.LbPolicy}", "Use ROUND_ROBIN, LEAST_REQUEST, RING_HASH or RANDOM; others are not supported yet.");
                return new(LoadBalancing.RoundRobin);
        }
    }

    /// <summary>The first known policy wins; when its settings are wrong, so is the cluster (gRFC A52).</summary>
    private static Balancing List(Wire.LoadBalancingPolicy? list, string path, int depth, DecodeErrors errors)
    {
        if (depth > MaxDepth)
        {
            errors.Add(path, $"is nested more than {MaxDepth} deep", "Nest less.");
            return new(LoadBalancing.RoundRobin);
        }

        for (var i = 0; i < (list?.Policies.Count ?? 0); i++)
        {
            if (list!.Policies[i].TypedExtensionConfig?.TypedConfig is { } policy
                && Known(policy, $"{path}.policies[{i}].typed_extension_config.typed_config", depth, errors) is { } known)
            {
                return known;
            }
        }

        var seen = list is null ? string.Empty : string.Join(", ", list.Policies.Select(p => p.TypedExtensionConfig?.TypedConfig?.TypeUrl ?? "(none)"));
        errors.Add(path, $"has no policy that is known here: {seen}", "End the list with round_robin, least_request, client_side_weighted_round_robin, ring_hash, pick_first or random.");
        return new(LoadBalancing.RoundRobin);
    }

    private static Balancing? Known(Any policy, string path, int depth, DecodeErrors errors)
    {
        switch (Any.GetTypeName(policy.TypeUrl))
        {
            case "envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin":
                return new(LoadBalancing.RoundRobin) { SlowStart = SlowStartDecoder.Decode(errors.Unpack<RoundRobin>(policy, path)?.SlowStartConfig, $"{path}.slow_start_config", errors) };
            case "envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest":
                var least = errors.Unpack<LeastRequest>(policy, path);
                return new(LoadBalancing.LeastRequest)
                {
                    Choices = Choices(least?.ChoiceCount, path, errors),
                    SlowStart = SlowStartDecoder.Decode(least?.SlowStartConfig, $"{path}.slow_start_config", errors),
                };
            case "envoy.extensions.load_balancing_policies.client_side_weighted_round_robin.v3.ClientSideWeightedRoundRobin":
                var reports = errors.Unpack<ClientSideWeightedRoundRobin>(policy, path);
                return new(LoadBalancing.WeightedRoundRobin) { Reports = reports is null ? WeightedRoundRobin.Default : WeightedRoundRobinDecoder.Decode(reports, path, errors) };
            case "envoy.extensions.load_balancing_policies.random.v3.Random":
                return new(LoadBalancing.Random);
            case "envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash":
                var ring = errors.Unpack<RingHash>(policy, path);
                if (ring is { HashFunction: not (RingHash.Types.HashFunction.DefaultHash or RingHash.Types.HashFunction.XxHash) })
                {
                    errors.Add($"{path}.hash_function", $"is {ring.HashFunction}", "Use XX_HASH.");
                }

                return new(LoadBalancing.RingHash) { Ring = Size(ring?.MinimumRingSize, ring?.MaximumRingSize, path, errors) };
            case "envoy.extensions.load_balancing_policies.pick_first.v3.PickFirst":
                return new(LoadBalancing.PickFirst) { Shuffle = errors.Unpack<PickFirst>(policy, path)?.ShuffleAddressList ?? false };
            case "envoy.extensions.load_balancing_policies.wrr_locality.v3.WrrLocality":
                // Localities are chosen by weight anyway: only what is inside matters.
                return errors.Unpack<WrrLocality>(policy, path) is { } inner
                    ? List(inner.EndpointPickingPolicy, $"{path}.endpoint_picking_policy", depth + 1, errors)
                    : new(LoadBalancing.RoundRobin);
            default:
                return null;
        }
    }

    /// <summary>More than 10 are 10 (gRFC A48).</summary>
    private static int Choices(uint? given, string path, DecodeErrors errors)
    {
        if (given < 2)
        {
            errors.Add($"{path}.choice_count", $"is {given}", "Use 2–10, or leave it out for 2.");
        }

        return (int)Math.Clamp(given ?? 2, 2, 10);
    }

    private static RingHashSize Size(ulong? min, ulong? max, string path, DecodeErrors errors)
    {
        var (least, most) = (min ?? (ulong)RingHashSize.Default.Min, max ?? RingHashSize.Limit);
        if (most > RingHashSize.Limit)
        {
            errors.Add($"{path}.maximum_ring_size", $"is {most}", $"Use at most {RingHashSize.Limit}.");
            most = RingHashSize.Limit;
        }

        if (least > most)
        {
            errors.Add($"{path}.minimum_ring_size", $"is {least}, and the maximum is {most}", "The minimum must not be above the maximum.");
            least = most;
        }

        return new RingHashSize((long)least, (long)most);
    }

    /// <summary>A policy with its settings.</summary>
    internal readonly record struct Balancing(LoadBalancing Policy)
    {
        public RingHashSize Ring { get; init; } = RingHashSize.Default;

        public bool Shuffle { get; init; }

        public int Choices { get; init; } = 2;

        public WeightedRoundRobin Reports { get; init; } = WeightedRoundRobin.Default;

        public SlowStart? SlowStart { get; init; }
    }
}
