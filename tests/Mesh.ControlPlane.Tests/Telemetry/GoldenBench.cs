using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Telemetry;
using Mesh.Protos.Otlp;
using Mesh.Spiffe;
using Xunit;

namespace Mesh.ControlPlane.Tests.Telemetry;

/// <summary>A store with what feeds it and what asks it, over one clock.</summary>
internal sealed class GoldenBench : IDisposable
{
    private readonly TimeProvider _time;
    private readonly MetricsReader _reader;
    private bool _disposed;

    public GoldenBench(TimeProvider time, ISlotFile? file = null, GoldenLimits? limits = null, IReplicaPeers? peers = null)
    {
        _time = time;
        Store = new GoldenStore(time, file ?? new MemorySlots(), limits ?? GoldenLimits.Default);
        _reader = new MetricsReader(Store, Balancers, time);
        Queries = new StoreQueries(Store, Balancers, peers ?? new NoPeers("here"), time);
    }

    public GoldenStore Store { get; }

    public BalancerTable Balancers { get; } = new();

    public StoreQueries Queries { get; }

    public (long Rejected, string? Reason) Read(IEnumerable<ResourceMetrics> metrics, SpiffeId peer) => _reader.Read(metrics, peer);

    public IReadOnlyList<Pair> Pairs(TimeSpan? window) => Pair.Of(Items(GoldenBy.Pair, window));

    public IReadOnlyList<EndpointRequests> Endpoints(TimeSpan? window) => EndpointRequests.Of(Items(GoldenBy.Endpoint, window));

    /// <param name="window">Null: since the start.</param>
    public IReadOnlyList<GoldenItem> Items(GoldenBy by, TimeSpan? window, Func<GoldenQuery, GoldenQuery>? more = null) => Answer(by, window, more).Items;

    public GoldenAnswer<GoldenItem> Answer(GoldenBy by, TimeSpan? window, Func<GoldenQuery, GoldenQuery>? more = null)
    {
        var now = _time.GetUtcNow();
        var query = new GoldenQuery(by, window is { } w ? now - w : GoldenQuery.Start, now);
        return Read(more?.Invoke(query) ?? query);
    }

    /// <summary>A store that is alone answers at once.</summary>
    public GoldenAnswer<GoldenItem> Read(GoldenQuery query)
    {
        var answer = Queries.ReadAsync(query, CancellationToken.None);
        Assert.True(answer.IsCompletedSuccessfully);
        return answer.Result;
    }

    /// <inheritdoc cref="Read(GoldenQuery)"/>
    public GoldenAnswer<GoldenSeries> ReadSeries(GoldenQuery query, TimeSpan step)
    {
        var answer = Queries.ReadSeriesAsync(query, step, CancellationToken.None);
        Assert.True(answer.IsCompletedSuccessfully);
        return answer.Result;
    }

    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            Store.Dispose();
        }
    }
}
