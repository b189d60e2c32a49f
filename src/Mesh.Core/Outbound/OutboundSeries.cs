using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>A called service with the series of the calls to it. One object per service for the life of the process. Thread-safe.</summary>
internal sealed class Destination(string service, string @namespace, string source, string sourceNamespace, MetricAggregate aggregate)
{
    // By outcome, then by TLS; made at first use, because a series that nobody needs still takes memory.
    private readonly MetricSeries?[] _calls = new MetricSeries?[6];

    public string Service => service;

    public string Namespace => @namespace;

    public void RecordCall(TimeSpan duration, Verdict verdict, bool mesh)
    {
        ref var series = ref _calls[((int)verdict * 2) + (mesh ? 1 : 0)];
        series ??= aggregate.Get(MeshTags.ClientCallDuration, [.. CommonTags(verdict, mesh)]);
        series.Durations.Record(duration);
    }

    /// <summary>A connection whose bytes are not the mesh's business has ended, or did not come about.</summary>
    public void RecordConnection(TimeSpan duration, Verdict verdict, bool mesh) =>
        aggregate.Get(MeshTags.ClientConnectionDuration, [.. CommonTags(verdict, mesh)]).Durations.Record(duration);

    internal MetricSeries CreateAttempts(Verdict verdict, bool reached, OutboundEndpoint endpoint) => aggregate.Get(
        MeshTags.ClientAttemptDuration,
        [
            .. CommonTags(verdict, endpoint.IsMesh),
            new(MeshTags.Backend, endpoint.Cluster.Service),
            new(MeshTags.BackendNamespace, endpoint.Cluster.Namespace),
            new(MeshTags.Endpoint, endpoint.Config.HostPort),
            new(MeshTags.Reached, reached ? "true" : "false"),
        ]);

    private IEnumerable<KeyValuePair<string, string>> CommonTags(Verdict verdict, bool mesh) =>
    [
        new(MeshTags.Direction, MeshTags.Outbound),
        new(MeshTags.Source, source),
        new(MeshTags.SourceNamespace, sourceNamespace),
        new(MeshTags.Destination, service),
        new(MeshTags.DestinationNamespace, @namespace),
        new(MeshTags.Outcome, verdict.Tag()),
        new(MeshTags.Tls, mesh ? "mesh" : "none"),
    ];
}

/// <summary>The series of the attempts at one endpoint for calls to one destination. Thread-safe.</summary>
internal sealed class AttemptSeries(Destination destination, OutboundEndpoint endpoint)
{
    private readonly MetricSeries?[] _attempts = new MetricSeries?[6];

    public Destination Destination => destination;

    public void Record(TimeSpan duration, Verdict verdict, bool reached)
    {
        ref var series = ref _attempts[((int)verdict * 2) + (reached ? 1 : 0)];
        series ??= destination.CreateAttempts(verdict, reached, endpoint);
        series.Durations.Record(duration);
    }
}
