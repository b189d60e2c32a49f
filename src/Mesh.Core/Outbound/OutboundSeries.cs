using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>A called service with the series of the calls to it. One object per service for the life of the process. Thread-safe.</summary>
internal sealed class Destination(string service, string @namespace, string source, string sourceNamespace, MetricAggregate aggregate)
{
    // By outcome, then by TLS; made at first use, because a series that nobody needs still takes memory.
    private readonly MetricSeries?[] _calls = new MetricSeries?[4];

    public string Service => service;

    public string Namespace => @namespace;

    public void RecordCall(TimeSpan duration, bool failed, bool mesh)
    {
        ref var series = ref _calls[(failed ? 2 : 0) + (mesh ? 1 : 0)];
        series ??= aggregate.Get(MeshTags.ClientCallDuration, [.. CommonTags(failed, mesh)]);
        series.Durations.Record(duration);
    }

    internal MetricSeries CreateAttempts(bool failed, bool reached, OutboundEndpoint endpoint) => aggregate.Get(
        MeshTags.ClientAttemptDuration,
        [
            .. CommonTags(failed, endpoint.IsMesh),
            new(MeshTags.Backend, endpoint.Cluster.Service),
            new(MeshTags.BackendNamespace, endpoint.Cluster.Namespace),
            new(MeshTags.Endpoint, endpoint.Config.HostPort),
            new(MeshTags.Reached, reached ? "true" : "false"),
        ]);

    private IEnumerable<KeyValuePair<string, string>> CommonTags(bool failed, bool mesh) =>
    [
        new(MeshTags.Direction, MeshTags.Outbound),
        new(MeshTags.Source, source),
        new(MeshTags.SourceNamespace, sourceNamespace),
        new(MeshTags.Destination, service),
        new(MeshTags.DestinationNamespace, @namespace),
        new(MeshTags.Outcome, failed ? MeshTags.Failure : MeshTags.Success),
        new(MeshTags.Tls, mesh ? "mesh" : "none"),
    ];
}

/// <summary>The series of the attempts at one endpoint for calls to one destination. Thread-safe.</summary>
internal sealed class AttemptSeries(Destination destination, OutboundEndpoint endpoint)
{
    private readonly MetricSeries?[] _attempts = new MetricSeries?[4];

    public Destination Destination => destination;

    public void Record(TimeSpan duration, bool failed, bool reached)
    {
        ref var series = ref _attempts[(failed ? 2 : 0) + (reached ? 1 : 0)];
        series ??= destination.CreateAttempts(failed, reached, endpoint);
        series.Durations.Record(duration);
    }
}
