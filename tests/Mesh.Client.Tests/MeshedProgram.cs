using System.Collections.Immutable;
using Mesh.Config;
using Mesh.Hosting;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;

namespace Mesh.Client.Tests;

/// <summary>The services of a program that called AddMesh(), with configuration and identity given in code.</summary>
internal sealed class MeshedProgram : IAsyncDisposable
{
    private readonly ServiceProvider _services;

    public MeshedProgram(TestCa ca, Action<IServiceCollection>? configure = null, bool isOn = true)
    {
        Identity = new FixedIdentitySource(ca.Identity("shop", "storefront"));
        var services = new ServiceCollection();
        services.AddLogging(logging => logging.AddFakeLogging());
        services.AddMesh();
        services.AddHttpClient();
        configure?.Invoke(services);
        services.AddSingleton<IConfigSource>(Config);
        services.AddSingleton<IWorkloadIdentitySource>(Identity);
        services.AddSingleton(new MeshActivation(isOn));
        _services = services.BuildServiceProvider();
    }

    public InMemoryConfigSource Config { get; } = new();

    public FixedIdentitySource Identity { get; }

    public IServiceProvider Services => _services;

    public MetricAggregate Metrics => _services.GetRequiredService<MetricAggregate>();

    public FakeLogCollector Logs => _services.GetFakeLogCollector();

    public HttpClient Client(string name = "") => _services.GetRequiredService<IHttpClientFactory>().CreateClient(name);

    /// <summary>One service, known as <c>name</c>, with one route to one cluster of these endpoints.</summary>
    public void Serve(string name, IReadOnlyList<Endpoint> endpoints, RouteAction.Forward? action = null, Func<Cluster, Cluster>? change = null)
    {
        var cluster = $"outbound|80||{name}.shop.svc.cluster.local";
        Config.Set(Snapshot(name, action ?? new RouteAction.Forward([new(cluster, 1)]), (cluster, endpoints), change));
    }

    public static MeshSnapshot Snapshot(string name, RouteAction action, (string Name, IReadOnlyList<Endpoint> Endpoints) cluster, Func<Cluster, Cluster>? change = null)
    {
        var model = new Cluster(cluster.Name, cluster.Name, TimeSpan.FromSeconds(2));
        return new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add(name, Listener(name, action)),
            Clusters = ImmutableDictionary<string, ClusterResult>.Empty.Add(cluster.Name, new ClusterResult.Found(
                change?.Invoke(model) ?? model,
                new LoadAssignment(cluster.Name, [new(new("", "", ""), 0, 1, cluster.Endpoints)]))),
        };
    }

    public static ListenerResult Listener(string name, RouteAction action)
    {
        var canonical = $"{name}.shop.svc.cluster.local:80";
        return new ListenerResult.Found(
            new Listener(name) { Api = new HttpConnectionManager(canonical, null, null) },
            new RouteConfiguration(canonical, [new VirtualHost(name, ["*"], [new Route("all", new RouteMatch(null, [], null), action)])]));
    }

    public long Count(string metric, params (string Key, string Value)[] tags) => Metrics.Series
        .Where(s => s.Name == metric && tags.All(t => s.Tags.Contains(new(t.Key, t.Value))))
        .Sum(s => s.Durations.Collect()?.Counts.Sum() ?? 0);

    public ValueTask DisposeAsync() => _services.DisposeAsync();
}
