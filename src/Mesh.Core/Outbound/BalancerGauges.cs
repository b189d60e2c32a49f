using System.Diagnostics.Metrics;
using Mesh.Balancing;
using Mesh.Config;
using Mesh.Telemetry;

namespace Mesh.Outbound;

/// <summary>What the balancers of this process think of their endpoints, as gauges: read when somebody looks, so that calls pay nothing. Thread-safe.</summary>
internal sealed class BalancerGauges(OutboundTableStore tables, TimeProvider time)
{
    /// <summary>Endpoints that are shown; a client of more shows these.</summary>
    public const int MaxEndpoints = 200;

    /// <summary>Makes the gauges; they live as long as the factory's meter.</summary>
    public static void Register(IMeterFactory meters, OutboundTableStore tables, TimeProvider time)
    {
        var (meter, gauges) = (meters.Create(new MeterOptions(CounterTotals.MeterName)), new BalancerGauges(tables, time));
        meter.CreateObservableGauge(MeshTags.EndpointState, gauges.States, "1", "Endpoints that a client balances over: 1 for the state that each is in.");
        meter.CreateObservableGauge(MeshTags.EndpointActive, gauges.Active, "{request}", "Attempts at an endpoint whose response has not ended.");
        meter.CreateObservableGauge(MeshTags.EndpointEwma, gauges.Ewma, "s", "What an endpoint's latency is worth to the balancer now: peak EWMA, with the penalty of recent failures.");
        meter.CreateObservableGauge(MeshTags.EndpointWeight, gauges.Weights, "1", "Weight by which an endpoint is chosen: from its load reports, else from the control plane.");
        meter.CreateObservableGauge(MeshTags.EndpointEjectedUntil, gauges.EjectedUntil, "s", "Up to when an endpoint sits out, in seconds since 1970; only while it does.");
        meter.CreateObservableGauge(MeshTags.EndpointConnections, gauges.Connections, "{connection}", "Established connections to an endpoint.");
        meter.CreateObservableUpDownCounter(GrpcTags.OpenConnections, gauges.OpenConnections, "{connection}", "Established connections to the endpoints of a cluster.");
    }

    private IEnumerable<OutboundCluster> Clusters => tables.Current.Listeners.Values.SelectMany(l => l.Clusters).Distinct();

    private IEnumerable<OutboundEndpoint> Endpoints => Clusters.SelectMany(c => c.Balancer.Endpoints).OfType<OutboundEndpoint>().Take(MaxEndpoints);

    private IEnumerable<Measurement<long>> States()
    {
        var now = time.GetTimestamp();
        return Endpoints.Select(e =>
        {
            var (state, reason) = StateOf(e, now);
            return new Measurement<long>(1, [.. Tags(e), new(MeshTags.State, state), new(MeshTags.Reason, reason)]);
        });
    }

    private IEnumerable<Measurement<long>> Active() => Endpoints.Select(e => new Measurement<long>(e.InFlight, Tags(e)));

    private IEnumerable<Measurement<double>> Ewma()
    {
        var now = time.GetTimestamp();
        return Endpoints.Where(e => e.Latency.HasSamples).Select(e => new Measurement<double>(e.Latency.Cost(now), Tags(e)));
    }

    private IEnumerable<Measurement<double>> Weights()
    {
        var now = time.GetTimestamp();
        return Endpoints.Select(e => new Measurement<double>(WeightOf(e, now), Tags(e)));
    }

    private IEnumerable<Measurement<double>> EjectedUntil()
    {
        var (now, utc) = (time.GetTimestamp(), time.GetUtcNow());
        return Endpoints.Select(e => (Endpoint: e, Until: Math.Max(e.EjectedUntil, e.SteeredUntil))).Where(e => e.Until > now)
            .Select(e => new Measurement<double>((utc + time.GetElapsedTime(now, e.Until) - DateTimeOffset.UnixEpoch).TotalSeconds, Tags(e.Endpoint)));
    }

    private IEnumerable<Measurement<long>> Connections() => Endpoints.Select(e => new Measurement<long>(e.LookAtConnections().Established, Tags(e)));

    private IEnumerable<Measurement<long>> OpenConnections() =>
        from cluster in Clusters
        from kind in cluster.Balancer.Endpoints.OfType<OutboundEndpoint>().GroupBy(e => e.NeedsIdentity)
        select new Measurement<long>(
            kind.Sum(e => (long)e.LookAtConnections().Established),
            new(GrpcTags.Target, SubchannelMetrics.TargetOf(cluster.Service, cluster.Namespace)),
            new(GrpcTags.SecurityLevel, kind.Key ? "privacy_and_integrity" : "none"),
            new(GrpcTags.BackendService, cluster.Name));

    private double WeightOf(OutboundEndpoint endpoint, long now)
    {
        var cluster = endpoint.Cluster.Config;
        var reported = cluster.LoadBalancing == LoadBalancing.WeightedRoundRobin ? endpoint.LoadWeight(cluster.WeightedRoundRobin, time, now) : 0;
        return reported > 0 ? reported : endpoint.Config.Weight;
    }

    private static (string State, string Reason) StateOf(OutboundEndpoint endpoint, long now)
    {
        if (endpoint.IsEjected(now))
        {
            return (EndpointStates.Ejected, endpoint.EjectedFor ?? string.Empty);
        }

        if (endpoint.IsSteeredAway(now))
        {
            return (EndpointStates.Ejected, "overloaded");
        }

        if (endpoint.ProbeFailing)
        {
            return (EndpointStates.Failing, Ejection.HealthCheck);
        }

        if (!endpoint.Config.Healthy)
        {
            return (EndpointStates.Failing, endpoint.Config.Draining ? "draining" : "control_plane");
        }

        var (established, more) = endpoint.LookAtConnections();
        return (established > 0 ? EndpointStates.Ready : more ? EndpointStates.Connecting : EndpointStates.Idle, string.Empty);
    }

    private static KeyValuePair<string, object?>[] Tags(OutboundEndpoint endpoint) =>
    [
        new(MeshTags.Destination, endpoint.Cluster.Service),
        new(MeshTags.DestinationNamespace, endpoint.Cluster.Namespace),
        new(MeshTags.Endpoint, endpoint.Config.HostPort),
    ];
}

/// <summary>The words of <see cref="MeshTags.State"/>.</summary>
internal static class EndpointStates
{
    /// <summary>There is a connection.</summary>
    public const string Ready = "ready";

    /// <summary>There is none, and one is being made.</summary>
    public const string Connecting = "connecting";

    /// <summary>There is none, and nobody wanted one lately.</summary>
    public const string Idle = "idle";

    /// <summary>Not to be used: reason <c>health_check</c> (our probes), <c>control_plane</c> or <c>draining</c> (it says so).</summary>
    public const string Failing = "failing";

    /// <summary>It sits out: reason as of <see cref="Decisions.Eject"/>.</summary>
    public const string Ejected = "ejected";
}
