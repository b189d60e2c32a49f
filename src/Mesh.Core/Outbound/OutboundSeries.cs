using System.Collections.Concurrent;
using System.Diagnostics;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>A called service with the series of the calls to it. One object per service for the life of the process. Thread-safe.</summary>
internal sealed class Destination
{
    private readonly ConcurrentDictionary<string, RouteSeries> _routes = new(StringComparer.Ordinal);
    private readonly MetricAggregate _aggregate;

    public Destination(string service, string @namespace, string source, string sourceNamespace, MetricAggregate aggregate)
    {
        (Service, Namespace, Source, SourceNamespace, _aggregate) = (service, @namespace, source, sourceNamespace, aggregate);
        Target = SubchannelMetrics.TargetOf(service, @namespace);
        Unrouted = new RouteSeries(this, string.Empty);
    }

    /// <summary>What gRPC's metrics call it.</summary>
    public string Target { get; }

    /// <summary>Our workload's name in metrics.</summary>
    public string Source { get; }

    public string SourceNamespace { get; }

    public string Service { get; }

    public string Namespace { get; }

    /// <summary>False: the operator wants nothing counted.</summary>
    public bool IsCounted => !_aggregate.IsOff;

    /// <summary>Calls that no route took.</summary>
    public RouteSeries Unrouted { get; }

    /// <summary>Calls by one route; past <see cref="MeshTags.MaxRoutes"/> names, by all others.</summary>
    /// <param name="name">As the control plane says.</param>
    public RouteSeries RouteOf(string name)
    {
        if (name.Length == 0)
        {
            return Unrouted;
        }

        name = _routes.Count < MeshTags.MaxRoutes || _routes.ContainsKey(name) ? name : MeshTags.Other;
        return _routes.GetOrAdd(name, static (n, destination) => new RouteSeries(destination, n), this);
    }

    /// <summary>A connection whose bytes are not the mesh's business has ended, or did not come about.</summary>
    public void RecordConnection(TimeSpan duration, Verdict verdict, bool mesh)
    {
        if (IsCounted)
        {
            _aggregate.Get(MeshTags.ClientConnectionDuration, [.. CommonTags(verdict, mesh)]).Record(duration);
        }
    }

    /// <summary>Who speaks with whom over a connection to it.</summary>
    public ConnectionPair Pair(bool mesh) => new(IsInbound: false, Source, SourceNamespace, Service, Namespace, mesh);

    internal MetricSeries CreateCalls(Verdict verdict, bool mesh, string route) =>
        _aggregate.Get(MeshTags.ClientCallDuration, [.. CommonTags(verdict, mesh), new(MeshTags.Route, route)]);

    internal MetricSeries CreateAttempts(Verdict verdict, bool reached, string route, OutboundEndpoint endpoint) => _aggregate.Get(
        MeshTags.ClientAttemptDuration,
        [
            .. CommonTags(verdict, endpoint.IsMesh),
            new(MeshTags.Route, route),
            new(MeshTags.Backend, endpoint.Cluster.Service),
            new(MeshTags.BackendNamespace, endpoint.Cluster.Namespace),
            new(MeshTags.Endpoint, endpoint.Config.HostPort),
            new(MeshTags.Reached, reached ? "true" : "false"),
        ]);

    private IEnumerable<KeyValuePair<string, string>> CommonTags(Verdict verdict, bool mesh) =>
    [
        new(MeshTags.Direction, MeshTags.Outbound),
        new(MeshTags.Source, Source),
        new(MeshTags.SourceNamespace, SourceNamespace),
        new(MeshTags.Destination, Service),
        new(MeshTags.DestinationNamespace, Namespace),
        new(MeshTags.Outcome, verdict.Tag()),
        new(MeshTags.Tls, mesh ? "mesh" : "none"),
    ];
}

/// <summary>The series of the calls to one service by one of its routes. Thread-safe.</summary>
internal sealed class RouteSeries(Destination destination, string route)
{
    // By outcome, then by TLS; made at first use, because a series that nobody needs still takes memory.
    private readonly MetricSeries?[] _calls = new MetricSeries?[6];

    public Destination Destination => destination;

    public string Route => route;

    /// <param name="span">The call's; null when nobody traces.</param>
    public void RecordCall(TimeSpan duration, Verdict verdict, bool mesh, Activity? span = null)
    {
        if (!destination.IsCounted)
        {
            return;
        }

        ref var series = ref _calls[((int)verdict * 2) + (mesh ? 1 : 0)];
        series ??= destination.CreateCalls(verdict, mesh, route);
        series.Record(duration, span);
    }
}

/// <summary>The series of the attempts at one endpoint for calls by one route. Thread-safe.</summary>
internal sealed class AttemptSeries(RouteSeries route, OutboundEndpoint endpoint)
{
    private readonly MetricSeries?[] _attempts = new MetricSeries?[6];

    public RouteSeries Route => route;

    /// <param name="span">The attempt's; null when nobody traces.</param>
    public void Record(TimeSpan duration, Verdict verdict, bool reached, Activity? span)
    {
        ref var series = ref _attempts[((int)verdict * 2) + (reached ? 1 : 0)];
        series ??= route.Destination.CreateAttempts(verdict, reached, route.Route, endpoint);
        series.Record(duration, span);
    }
}
