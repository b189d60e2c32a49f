using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Cluster;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Traffic;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Translation;

// Here, for Mesh.ControlPlane.Cluster is a room.
using Cluster = Mesh.Protos.Envoy.Cluster.Cluster;

/// <summary>Writes what a caller may have under way in a cluster, and for our own nodes what xDS has no field for.</summary>
internal static class ClusterLimitsTranslator
{
    public static void Apply(Cluster cluster, EffectiveSettings settings, bool mesh)
    {
        if (settings.IsAnySet(LimitSettings.MaxRequests, LimitSettings.MaxPending, LimitSettings.MaxConnections))
        {
            cluster.CircuitBreakers = new CircuitBreakers
            {
                Thresholds =
                {
                    new CircuitBreakers.Types.Thresholds
                    {
                        Priority = RoutingPriority.Default,
                        MaxRequests = (uint)settings.Get(LimitSettings.MaxRequests),
                        MaxPendingRequests = Limit(settings.Get(LimitSettings.MaxPending)),
                        MaxConnections = Limit(settings.Get(LimitSettings.MaxConnections)),
                    },
                },
            };
        }

        var budget = settings.IsAnySet(RetrySettings.BudgetPercent, RetrySettings.BudgetMinPerSecond);
        if (mesh && (budget || settings.IsAnySet(BalancingSettings.PreferNear, BalancingSettings.WarmConnections)))
        {
            var policy = new ClusterPolicy
            {
                PreferNear = settings.Get(BalancingSettings.PreferNear),
                WarmConnections = (uint)settings.Get(BalancingSettings.WarmConnections),
                RetryBudget = !budget ? null : new RetryBudget
                {
                    Percent = (uint)settings.Get(RetrySettings.BudgetPercent),
                    MinRetriesPerSecond = (uint)settings.Get(RetrySettings.BudgetMinPerSecond),
                },
            };
            cluster.Metadata = new Metadata { TypedFilterMetadata = { [XdsTypes.MetadataKey] = Any.Pack(policy) } };
        }
    }

    private static uint? Limit(int number) => number == 0 ? null : (uint)number;
}
