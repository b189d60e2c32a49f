using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Traffic;
using Wire = Mesh.Protos.Envoy.Cluster;

namespace Mesh.Xds.Decoding;

/// <summary>Limits, connections, and what only our own control plane says.</summary>
internal static partial class ClusterDecoder
{
    private const int MostWarmConnections = 8;

    private static int MostOf(Wire.CircuitBreakers? breakers, Func<Wire.CircuitBreakers.Types.Thresholds, uint?> field, int absent)
    {
        var first = breakers?.Thresholds.FirstOrDefault(t => t.Priority == RoutingPriority.Default);
        return (int)Math.Min((first is null ? null : field(first)) ?? (uint)absent, int.MaxValue);
    }

    private static ConnectionLife Connections(HttpProtocolOptions? given, ClusterPolicy? ours, DecodeErrors errors)
    {
        const string Path = "common_http_protocol_options";
        var absent = ConnectionLife.Default;
        var idle = errors.Time(given?.IdleTimeout, $"{Path}.idle_timeout");
        var age = errors.Time(given?.MaxConnectionDuration, $"{Path}.max_connection_duration");
        if (age == TimeSpan.Zero)
        {
            errors.Add($"{Path}.max_connection_duration", "is 0", "Use more than 0, or leave it out for no limit.");
        }

        // Envoy: an idle timeout of 0 turns it off.
        return idle is null && age is null && ours is null or { WarmConnections: 0 }
            ? absent
            : new ConnectionLife(age, idle is null ? absent.IdleTimeout : idle == TimeSpan.Zero ? Timeout.InfiniteTimeSpan : idle.Value, (int)(ours?.WarmConnections ?? 0));
    }

    private static ClusterPolicy? Ours(Metadata? metadata, DecodeErrors errors)
    {
        const string Path = $"metadata.typed_filter_metadata[\"{XdsTypes.MetadataKey}\"]";
        if (metadata is null || !metadata.TypedFilterMetadata.TryGetValue(XdsTypes.MetadataKey, out var any) || errors.Unpack<ClusterPolicy>(any, Path) is not { } policy)
        {
            return null;
        }

        if (policy.WarmConnections > MostWarmConnections)
        {
            errors.Add($"{Path}.warm_connections", $"is {policy.WarmConnections}", $"Use 0–{MostWarmConnections}.");
        }

        if (policy.RetryBudget is { Percent: > 100 })
        {
            errors.Add($"{Path}.retry_budget.percent", $"is {policy.RetryBudget.Percent}", "Use 0–100.");
        }

        return policy;
    }

    private static RetryBudgetSize Budget(ClusterPolicy? ours) => ours?.RetryBudget is { } budget
        ? new((int)Math.Min(budget.Percent, 100), (int)Math.Min(budget.MinRetriesPerSecond, int.MaxValue))
        : RetryBudgetSize.Default;
}
