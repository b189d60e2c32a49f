using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Testing.Simulation;

/// <summary>What a control plane would say of one service: its name, how it is called, who serves it.</summary>
internal sealed record SimulatedService(string Name)
{
    public IReadOnlyList<SimulatedServer> Servers { get; init; } = [];

    public string ClusterName => $"outbound|80||{Name}.sim.svc.cluster.local";

    /// <summary>What callers ask for.</summary>
    public Uri Uri => new($"http://{Name}/");

    /// <summary>How the cluster differs from the default one.</summary>
    public Func<Cluster, Cluster> Cluster { get; init; } = static c => c;

    /// <summary>How the route differs from one with the default retries.</summary>
    public Func<RouteAction.Forward, RouteAction.Forward> Route { get; init; } = static r => r;

    /// <summary>Zones become localities: of this weight per endpoint, all of priority 0; null is one locality for all.</summary>
    public Func<string, (int Priority, int Weight)>? Zones { get; init; }

    /// <summary>A whole configuration of some services.</summary>
    public static MeshSnapshot Snapshot(params SimulatedService[] services)
    {
        var builder = new SnapshotBuilder();
        foreach (var service in services)
        {
            var forward = service.Route(new RouteAction.Forward([new WeightedCluster(service.ClusterName, 1)]));
            var route = new Route(string.Empty, new RouteMatch(new StringMatcher(StringMatchKind.Prefix, "/"), [], null), forward);
            var routes = new RouteConfiguration($"{service.Name}.sim.svc.cluster.local:80", [new VirtualHost(service.Name, ["*"], [route])]);
            builder.Add(service.Name, new ListenerResult.Found(new Listener(service.Name) { Api = new HttpConnectionManager(routes.Name, null, null) }, routes));
            builder.Add(service.ClusterName, new ClusterResult.Found(
                service.Cluster(new Cluster(service.ClusterName, service.ClusterName, TimeSpan.FromSeconds(5))), service.Endpoints()));
        }

        return builder.Build();
    }

    private LoadAssignment Endpoints()
    {
        var localities = Servers.GroupBy(s => Zones is null ? string.Empty : s.Zone).Select(zone =>
        {
            var (priority, weight) = Zones?.Invoke(zone.Key) ?? (0, 1);
            return new LocalityEndpoints(new Locality("r", zone.Key, string.Empty), priority, weight, [.. zone.Select(s => new Endpoint(s.Address, s.Port, 1, Healthy: true))]);
        });
        return new LoadAssignment(ClusterName, [.. localities]);
    }
}
