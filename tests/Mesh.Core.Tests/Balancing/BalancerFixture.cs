using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Telemetry;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace Mesh.Balancing;

/// <summary>A balancer under fake time, whose decisions are collected.</summary>
internal sealed class BalancerFixture : IDisposable
{
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly DecisionCounter _decisions;
    private readonly MetricCollector<long> _counted;

    public BalancerFixture(Locality? own = null, int seed = 11)
    {
        Random = new Random(seed);
        var meters = _services.GetRequiredService<IMeterFactory>();
        _decisions = new DecisionCounter(meters, MeshTags.ClientDecisions);
        _counted = new MetricCollector<long>(meters, "Mesh", MeshTags.ClientDecisions);
        Balancer = new ClusterBalancer("c", (e, l) => new BalancedEndpoint(e, l), Time, Logger, place: new BalancerPlace(own, _decisions, "catalog", "shop"));
    }

    public FakeTimeProvider Time { get; } = new();

    public FakeLogger<ClusterBalancer> Logger { get; } = new();

    public Random Random { get; }

    public ClusterBalancer Balancer { get; }

    public long Now => Time.GetTimestamp();

    /// <summary>What was decided so far, as <c>decision reason</c>.</summary>
    public IReadOnlyList<string> Decided => [.. _counted.GetMeasurementSnapshot().Select(m => $"{m.Tags[MeshTags.Decision]} {m.Tags[MeshTags.Reason]}")];

    public static Cluster Cluster(LoadBalancing policy = LoadBalancing.PeakEwma) => new("c", "c", TimeSpan.FromSeconds(1)) { LoadBalancing = policy };

    /// <summary>Addresses are <c>10.0.<paramref name="net"/>.1</c> and on.</summary>
    public static LocalityEndpoints Locality(int net, int count, int priority = 0, string zone = "", string region = "", int weight = 0) =>
        new(new Locality(region, zone, net.ToString(System.Globalization.CultureInfo.InvariantCulture)), priority, weight == 0 ? count : weight, Endpoints(net, count));

    public static Endpoint[] Endpoints(int net, int count) => [.. Enumerable.Range(1, count).Select(i => new Endpoint($"10.0.{net}.{i}", 80, 1, true))];

    public void Update(Cluster cluster, params LocalityEndpoints[] localities) => Balancer.Update(cluster, new LoadAssignment("c", localities));

    public BalancedEndpoint Pick() => Balancer.Pick(Random, default, Now, (ulong)Random.NextInt64(long.MinValue, long.MaxValue))!;

    public BalancedEndpoint At(int net, int number) => Balancer.Endpoints.Single(e => e.Config.Address == $"10.0.{net}.{number}");

    public void Eject(int net, params ReadOnlySpan<int> numbers)
    {
        foreach (var number in numbers)
        {
            At(net, number).EjectedUntil = Now + TimeSpan.FromMinutes(1).Ticks;
        }
    }

    /// <summary>Shares of many picks by net.</summary>
    public Dictionary<int, double> Shares(int picks = 4_000) =>
        Enumerable.Range(0, picks).Select(_ => Net(Pick())).GroupBy(n => n).ToDictionary(g => g.Key, g => g.Count() / (double)picks);

    public static int Net(BalancedEndpoint endpoint) => int.Parse(endpoint.Config.Address.Split('.')[2], System.Globalization.CultureInfo.InvariantCulture);

    public void Dispose()
    {
        _counted.Dispose();
        _decisions.Dispose();
        _services.Dispose();
    }
}
