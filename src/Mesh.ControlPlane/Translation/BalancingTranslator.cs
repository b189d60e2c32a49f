using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Cluster;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.LoadBalancing;
using Mesh.Protos.Envoy.Type;

namespace Mesh.ControlPlane.Translation;

// Here, for Mesh.ControlPlane.Cluster is a room.
using Cluster = Mesh.Protos.Envoy.Cluster.Cluster;

/// <summary>Writes how a cluster picks its endpoints.</summary>
/// <remarks>
/// A list of policies that ends in one that everybody knows (gRFC A52); beside it <c>lb_policy</c> for peers that read no list, where only
/// ROUND_ROBIN and RING_HASH are known to all. ROUND_ROBIN without a list is what ours read as peak EWMA, for which xDS has no word.
/// </remarks>
internal static class BalancingTranslator
{
    public static void Apply(Cluster cluster, EffectiveSettings settings, bool mesh)
    {
        cluster.LbPolicy = Cluster.Types.LbPolicy.RoundRobin;
        var slow = SlowStart(settings);
        switch (settings.Get(BalancingSettings.Algorithm))
        {
            case BalancingAlgorithm.RoundRobin when mesh:
                cluster.LoadBalancingPolicy = List(new RoundRobin { SlowStartConfig = slow });
                break;
            case BalancingAlgorithm.PeakEwma or BalancingAlgorithm.RoundRobin:
                cluster.RoundRobinLbConfig = slow is null ? null : new Cluster.Types.RoundRobinLbConfig { SlowStartConfig = slow };
                break;
            case BalancingAlgorithm.LeastRequest:
                var least = new LeastRequest { ChoiceCount = (uint)settings.Get(BalancingSettings.Choices), SlowStartConfig = slow };
                cluster.LoadBalancingPolicy = Within(least, new RoundRobin());
                break;
            case BalancingAlgorithm.WeightedRoundRobin:
                cluster.LoadBalancingPolicy = Within(Weighted(settings), new RoundRobin());
                break;
            case BalancingAlgorithm.Random:
                cluster.LoadBalancingPolicy = Within(new Protos.Envoy.LoadBalancing.Random(), new RoundRobin());
                break;
            case BalancingAlgorithm.PickFirst:
                cluster.LoadBalancingPolicy = List(new PickFirst { ShuffleAddressList = settings.Get(BalancingSettings.Shuffle) });
                break;
            default:
                Ring(cluster, settings);
                break;
        }

        if (settings.IsSet(BalancingSettings.PanicThreshold))
        {
            cluster.CommonLbConfig = new Cluster.Types.CommonLbConfig { HealthyPanicThreshold = new Percent { Value = settings.Get(BalancingSettings.PanicThreshold) } };
        }

        if (settings.IsAnySet(BalancingSettings.ConnectionIdleTimeout, BalancingSettings.ConnectionMaxAge))
        {
            cluster.CommonHttpProtocolOptions = new HttpProtocolOptions { IdleTimeout = Duration.FromTimeSpan(settings.Get(BalancingSettings.ConnectionIdleTimeout)) };
            if (settings.Get(BalancingSettings.ConnectionMaxAge) is { Ticks: > 0 } age)
            {
                cluster.CommonHttpProtocolOptions.MaxConnectionDuration = Duration.FromTimeSpan(age);
            }
        }
    }

    private static void Ring(Cluster cluster, EffectiveSettings settings)
    {
        var most = (ulong)settings.Get(BalancingSettings.MaxRingSize);
        // The two may come from different places.
        var least = Math.Min((ulong)settings.Get(BalancingSettings.MinRingSize), most);
        cluster.LbPolicy = Cluster.Types.LbPolicy.RingHash;
        cluster.RingHashLbConfig = new Cluster.Types.RingHashLbConfig { MinimumRingSize = least, MaximumRingSize = most };
        cluster.LoadBalancingPolicy = List(new RingHash { HashFunction = RingHash.Types.HashFunction.XxHash, MinimumRingSize = least, MaximumRingSize = most });
    }

    private static ClientSideWeightedRoundRobin Weighted(EffectiveSettings settings)
    {
        var policy = new ClientSideWeightedRoundRobin
        {
            EnableOobLoadReport = settings.Get(BalancingSettings.OutOfBand),
            OobReportingPeriod = Duration.FromTimeSpan(settings.Get(BalancingSettings.OutOfBandPeriod)),
            BlackoutPeriod = Duration.FromTimeSpan(settings.Get(BalancingSettings.Blackout)),
            WeightExpirationPeriod = Duration.FromTimeSpan(settings.Get(BalancingSettings.Expiration)),
            WeightUpdatePeriod = Duration.FromTimeSpan(settings.Get(BalancingSettings.UpdatePeriod)),
            ErrorUtilizationPenalty = (float)settings.Get(BalancingSettings.ErrorPenalty),
        };
        policy.MetricNamesForComputingUtilization.AddRange(settings.Get(BalancingSettings.Metrics));
        return policy;
    }

    private static Cluster.Types.SlowStartConfig? SlowStart(EffectiveSettings settings) =>
        settings.Get(BalancingSettings.SlowStartWindow) is { Ticks: > 0 } window
            ? new Cluster.Types.SlowStartConfig
            {
                SlowStartWindow = Duration.FromTimeSpan(window),
                Aggression = new RuntimeDouble { DefaultValue = settings.Get(BalancingSettings.SlowStartAggression), RuntimeKey = "aggression" },
                MinWeightPercent = new Percent { Value = settings.Get(BalancingSettings.SlowStartMinWeight) },
            }
            : null;

    /// <summary>Localities are chosen by weight first: a policy of a list that stands alone would not do that in gRPC peers.</summary>
    private static LoadBalancingPolicy Within(params ReadOnlySpan<IMessage> policies) => List(new WrrLocality { EndpointPickingPolicy = List(policies) });

    private static LoadBalancingPolicy List(params ReadOnlySpan<IMessage> policies)
    {
        var list = new LoadBalancingPolicy();
        foreach (var policy in policies)
        {
            list.Policies.Add(new LoadBalancingPolicy.Types.Policy
            {
                TypedExtensionConfig = new TypedExtensionConfig { Name = policy.Descriptor.FullName, TypedConfig = Any.Pack(policy) },
            });
        }

        return list;
    }
}
