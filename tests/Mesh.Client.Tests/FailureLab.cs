using System.Diagnostics.Metrics;
using Grpc.Net.Client;
using Mesh.Config;
using Mesh.Identity;
using Mesh.Outbound;
using Mesh.Telemetry;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;

namespace Mesh.Client.Tests;

/// <summary>A program that calls one service, <c>catalog</c>, whose endpoints fail as told. What the mesh decides is counted; time is ours unless told otherwise.</summary>
internal sealed class FailureLab : IAsyncDisposable
{
    public const string Cluster = "outbound|80||catalog.shop.svc.cluster.local";
    private readonly TestCa _ca = new("cluster.local");
    private readonly List<Backend> _backends = [];
    private readonly MetricCollector<long> _decisions;

    /// <param name="time">Null makes a clock that stands still.</param>
    public FailureLab(TimeProvider? time = null)
    {
        Program = new MeshedProgram(_ca, services => services.AddSingleton(time ?? Time));
        _decisions = new MetricCollector<long>(Program.Services.GetRequiredService<IMeterFactory>(), "Mesh", MeshTags.ClientDecisions);
    }

    public RecordingTimeProvider Time { get; } = new();

    public MeshedProgram Program { get; }

    public IReadOnlyList<Backend> Backends => _backends;

    public int Requests => _backends.Sum(b => b.Requests);

    public HttpClient Client => Program.Client();

    public OutboundPipeline Pipeline => Program.Services.GetRequiredService<OutboundPipeline>();

    /// <summary>The live cluster; there after <see cref="Serve"/>.</summary>
    public OutboundCluster Live => Program.Services.GetRequiredService<OutboundTableStore>().Current.Find(ListenerKey.Parse("catalog"))!.Clusters[0];

    public static RouteAction.Forward Route => new([new WeightedCluster(Cluster, 1)]);

    /// <summary>Starts endpoints: with mesh TLS they speak HTTP/2, without it HTTP/1.1.</summary>
    public async Task<Backend> AddAsync(bool http2, Func<HttpContext, Task>? handler = null)
    {
        var backend = await Backend.StartAsync(http2 ? new FixedIdentitySource(_ca.Identity("shop", "catalog")) : null, handler);
        _backends.Add(backend);
        return backend;
    }

    public void Serve(RouteAction.Forward route, Func<Cluster, Cluster>? change = null) => Program.Serve("catalog", [.. _backends.Select(b => b.Endpoint)], route, change);

    public GrpcChannel Channel() => MeshChannel.ForAddress("xds:///catalog", Program.Services);

    public long Decided(string decision, string? reason = null) => _decisions.GetMeasurementSnapshot()
        .Where(m => Equals(m.Tags[MeshTags.Decision], decision) && (reason is null || Equals(m.Tags[MeshTags.Reason], reason)))
        .Sum(m => m.Value);

    /// <summary>Waits until a timer of this length was set.</summary>
    public Task TimerAsync(TimeSpan due) => Eventually.Async(() => Time.Timers.Contains(due), $"a timer of {due}");

    /// <summary>Lets time pass, a second at a time, until a call has ended, well or not.</summary>
    public Task AdvanceUntilAsync(Task call) => Eventually.Async(
        () =>
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            return call.IsCompleted;
        },
        "the call ended");

    /// <summary>Waits until nothing of any call is left.</summary>
    public Task IdleAsync() => Eventually.Async(
        () => Live.Limit.InFlight == 0 && Live.Balancer.Endpoints.All(e => e.InFlight == 0), "no call is in flight");

    public async ValueTask DisposeAsync()
    {
        _decisions.Dispose();
        await Program.DisposeAsync();
        foreach (var backend in _backends)
        {
            await backend.DisposeAsync();
        }

        _ca.Dispose();
    }
}
