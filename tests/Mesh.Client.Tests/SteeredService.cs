using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace Mesh.Client.Tests;

/// <summary>The service <c>catalog</c> with routes given in code, its backends <c>a</c> and <c>b</c>, and what they were asked.</summary>
internal sealed class SteeredService : IAsyncDisposable
{
    private readonly TestCa _ca = new("cluster.local");
    private readonly Dictionary<string, Backend> _backends = [];
    private readonly List<MetricCollector<long>> _collectors = [];

    private SteeredService()
    {
    }

    public MeshedProgram Program { get; private set; } = null!;

    /// <summary>What arrived at a backend, oldest first.</summary>
    public ConcurrentDictionary<string, ConcurrentQueue<Asked>> Seen { get; } = new();

    /// <summary>What a backend does before it answers with its name.</summary>
    public Func<HttpContext, Task> Answering { get; set; } = _ => Task.CompletedTask;

    public static string Cluster(string backend) => $"outbound|80||{backend}.shop.svc.cluster.local";

    public static async Task<SteeredService> StartAsync(Action<IServiceCollection>? configure = null)
    {
        var service = new SteeredService();
        service.Program = new MeshedProgram(service._ca, configure);
        foreach (var name in (string[])["a", "b"])
        {
            service.Seen[name] = new();
            service._backends[name] = await Backend.StartAsync(new FixedIdentitySource(service._ca.Identity("shop", name)), async context =>
            {
                using var reader = new StreamReader(context.Request.Body);
                var asked = new Asked(
                    context.Request.Method, context.Request.Path.Value + context.Request.QueryString.Value, context.Request.Host.Value!, await reader.ReadToEndAsync(context.RequestAborted),
                    context.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase));
                service.Seen[name].Enqueue(asked);
                await service.Answering(context);
                if (!context.Response.HasStarted)
                {
                    await context.Response.WriteAsync(name);
                }
            });
        }

        service._collectors.Add(new MetricCollector<long>(service.Program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions));
        return service;
    }

    /// <summary>What was decided, in order, as <c>decision:reason</c>.</summary>
    public IEnumerable<string> Decided => _collectors.SelectMany(c => c.GetMeasurementSnapshot()).Select(m => $"{m.Tags[MeshTags.Decision]}:{m.Tags[MeshTags.Reason]}");

    public void Serve(params Route[] routes) => Serve([], routes);

    public void Serve(IReadOnlyList<HttpFilter> filters, params Route[] routes)
    {
        const string Canonical = "catalog.shop.svc.cluster.local:80";
        var found = new ListenerResult.Found(
            new Listener("catalog") { Api = new HttpConnectionManager(Canonical, null, null) { Filters = filters } },
            new RouteConfiguration(Canonical, [new VirtualHost("all", ["*"], routes)]));
        Program.Config.Set(new MeshSnapshot
        {
            Listeners = ImmutableDictionary<string, ListenerResult>.Empty.Add("catalog", found),
            Clusters = _backends.Append(new("gone", null!)).ToImmutableDictionary(b => Cluster(b.Key), b => (ClusterResult)new ClusterResult.Found(
                new Cluster(Cluster(b.Key), Cluster(b.Key), TimeSpan.FromSeconds(2)),
                new LoadAssignment(Cluster(b.Key), b.Value is null ? [] : [new(new("", "", ""), 0, 1, [b.Value.Endpoint])]))),
        });
    }

    /// <summary>To backend <c>a</c>.</summary>
    public static Route Route(Func<RouteAction.Forward, RouteAction.Forward>? change = null, RouteMatch? match = null)
    {
        var forward = new RouteAction.Forward([new(Cluster("a"), 1)]);
        return new Route("r", match ?? new RouteMatch(null, [], null), change?.Invoke(forward) ?? forward);
    }

    public async ValueTask DisposeAsync()
    {
        _collectors.ForEach(c => c.Dispose());
        await Program.DisposeAsync();
        foreach (var backend in _backends.Values)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }

    internal sealed record Asked(string Method, string Target, string Host, string Body, Dictionary<string, string> Headers);
}
