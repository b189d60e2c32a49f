using Mesh.Hosting;
using Mesh.Telemetry;

namespace Mesh.Server;

/// <summary>Counts what this workload served. A connection keeps its two series, so a request looks nothing up.</summary>
internal sealed class InboundMetrics(MetricAggregate aggregate, LocalNode node)
{
    public void Record(MeshConnectionFeature connection, bool success, TimeSpan duration)
    {
        var series = success
            ? connection.Success ??= Series(connection, MeshTags.Success)
            : connection.Failure ??= Series(connection, MeshTags.Failure);
        series.Durations.Record(duration);
    }

    private MetricSeries Series(MeshConnectionFeature connection, string outcome)
    {
        var peer = connection.Peer?.Id;
        return aggregate.Get(
            MeshTags.ServerCallDuration,
            new(MeshTags.Direction, MeshTags.Inbound),
            new(MeshTags.Source, peer is null ? MeshTags.Unmeshed : peer.ServiceAccount ?? peer.ToString()),
            new(MeshTags.SourceNamespace, peer?.Namespace ?? string.Empty),
            new(MeshTags.Destination, node.Workload),
            new(MeshTags.DestinationNamespace, node.Namespace),
            new(MeshTags.Outcome, outcome),
            new(MeshTags.Tls, connection.IsMeshTls ? "mesh" : "none"),
            new(MeshTags.Endpoint, connection.Endpoint));
    }
}
