using Mesh.ControlPlane.Telemetry;

namespace Mesh.ControlPlane.Tests.Insight;

/// <summary>Golden metrics as a test sets them: per pair and 10 s, called at a time of day.</summary>
internal sealed class FakeGolden : IGoldenQueries
{
    private static readonly TimeSpan Step = TimeSpan.FromSeconds(10);
    private readonly List<(DateTimeOffset At, GoldenKey Key, long Requests, long Failures, double P99)> _points = [];

    public List<BalancerState> States { get; } = [];

    public List<DecisionCount> Counts { get; } = [];

    public IReadOnlyList<MissingReplica> Missing { get; init; } = [];

    public DateTimeOffset Oldest { get; set; } = DateTimeOffset.MinValue;

    /// <summary>So many calls in each step of the time.</summary>
    public void Calls(string source, string destination, DateTimeOffset from, DateTimeOffset to, long requests, long failures = 0, double p99 = 5, string view = "client")
    {
        var key = new GoldenKey { Source = source, SourceNamespace = source == "unmeshed" ? "" : "shop", Destination = destination, DestinationNamespace = "shop", View = view };
        for (var at = from; at < to; at += Step)
        {
            _points.Add((at, key, requests, failures, p99));
        }
    }

    public Task<GoldenAnswer<GoldenItem>> ReadAsync(GoldenQuery query, CancellationToken cancellationToken) => Task.FromResult(Answer<GoldenItem>(
        query, Step, [.. Find(query).GroupBy(p => Key(p.Key, query.By)).Select(g => new GoldenItem(g.Key, Numbers(g.ToList(), query)))]));

    public Task<GoldenAnswer<GoldenSeries>> ReadSeriesAsync(GoldenQuery query, TimeSpan step, CancellationToken cancellationToken) => Task.FromResult(Answer<GoldenSeries>(
        query, step, [.. Find(query).GroupBy(p => Key(p.Key, query.By)).Select(g =>
        {
            var slots = Enumerable.Range(0, (int)((query.To - query.From) / step)).Select(i => g.Where(p => p.At >= query.From + (i * step) && p.At < query.From + ((i + 1) * step)).ToList()).ToList();
            return new GoldenSeries(
                g.Key, query.From, [.. slots.Select(s => s.Count == 0 ? (long?)null : s.Sum(p => p.Requests))], [.. slots.Select(s => s.Count == 0 ? (long?)null : s.Sum(p => p.Failures))],
                [.. slots.Select(_ => (long?)0)], [.. slots.Select(_ => (double?)null)], [.. slots.Select(_ => (double?)null)], [.. slots.Select(s => s.Count == 0 ? (double?)null : s.Max(p => p.P99))]);
        })]));

    public Task<GoldenAnswer<DecisionCount>> DecisionsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken) =>
        Task.FromResult(new GoldenAnswer<DecisionCount>(from, to, Step, Oldest, "memory", Missing, [], Counts));

    public IReadOnlyList<BalancerState> Balancers(string service, string @namespace) => [.. States.Where(s => s.Endpoint.StartsWith("10.", StringComparison.Ordinal))];

    private IEnumerable<(DateTimeOffset At, GoldenKey Key, long Requests, long Failures, double P99)> Find(GoldenQuery query) => _points.Where(p =>
        p.At >= query.From && p.At < query.To && (query.View == GoldenView.Server) == (p.Key.View == "server")
        && (query.Destination is null || query.Destination == p.Key.Destination) && (query.Source is null || query.Source == p.Key.Source));

    private GoldenAnswer<T> Answer<T>(GoldenQuery query, TimeSpan step, IReadOnlyList<T> items) => new(query.From, query.To, step, Oldest, "memory", Missing, [], items);

    private static GoldenKey Key(GoldenKey key, GoldenBy by) => by switch
    {
        GoldenBy.Service => new GoldenKey { Destination = key.Destination, DestinationNamespace = key.DestinationNamespace },
        GoldenBy.Workload => new GoldenKey { Source = key.Source, SourceNamespace = key.SourceNamespace },
        _ => key with { View = null },
    };

    private static GoldenNumbers Numbers(List<(DateTimeOffset At, GoldenKey Key, long Requests, long Failures, double P99)> points, GoldenQuery query)
    {
        var (requests, failures) = (points.Sum(p => p.Requests), points.Sum(p => p.Failures));
        return Golden.Of(requests, failures, points.Max(p => p.P99)) with { Rps = requests / (query.To - query.From).TotalSeconds };
    }
}

internal static class Golden
{
    public static GoldenNumbers Of(long requests, long failures = 0, double p99 = 5) => new(
        requests, failures, 0, requests, failures, 0, requests == 0 ? 1 : 1 - ((double)failures / requests), requests == 0 ? 1 : 1 - ((double)failures / requests), requests / 60.0, 1, 3, p99, 1);
}
