using System.Collections.Frozen;
using System.Globalization;
using Mesh.Telemetry;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Answers from what a Prometheus server scraped of the workloads: for fleets that are too many for the embedded store.</summary>
/// <remarks>Buckets are powers of two there, so percentiles are as coarse; counts are the same. Live balancers come from the reports in any case.</remarks>
internal sealed class PrometheusQueries(PrometheusServer server, BalancerTable balancers, TimeProvider time) : IGoldenQueries
{
    /// <summary>Counters that began again, in one question: each is asked for by itself.</summary>
    private const int MaxReset = 500;

    /// <summary>"Since the start" is as far as is kept anywhere.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    private static readonly TimeSpan ReachFresh = TimeSpan.FromMinutes(10);
    private static readonly (SeriesKind Kind, string Metric)[] Histograms =
    [
        (SeriesKind.Call, MeshTags.ClientCallDuration), (SeriesKind.Attempt, MeshTags.ClientAttemptDuration), (SeriesKind.Served, MeshTags.ServerCallDuration),
        (SeriesKind.ClientConnection, MeshTags.ClientConnectionDuration), (SeriesKind.ServerConnection, MeshTags.ServerConnectionDuration),
    ];

    /// <summary>Of connections whose bytes are no HTTP.</summary>
    private static readonly (SeriesKind Forth, SeriesKind Back, string Metric)[] Carried =
    [
        (SeriesKind.ClientReceived, SeriesKind.ClientSent, PromLabels.Bytes(MeshTags.ClientConnectionIo)), (SeriesKind.ServerReceived, SeriesKind.ServerSent, PromLabels.Bytes(MeshTags.ServerConnectionIo)),
        (SeriesKind.ClientOpened, SeriesKind.ClientOpened, PromLabels.Counter(MeshTags.ClientConnectionOpened)), (SeriesKind.ServerOpened, SeriesKind.ServerOpened, PromLabels.Counter(MeshTags.ServerConnectionOpened)),
    ];

    private static readonly (SeriesKind Kind, string Metric)[] Open =
    [
        (SeriesKind.ClientConnection, PromLabels.Gauge(MeshTags.ClientConnectionOpen)), (SeriesKind.ServerConnection, PromLabels.Gauge(MeshTags.ServerConnectionOpen)),
    ];

    private volatile Reach? _reach;

    /// <inheritdoc/>
    public async Task<GoldenAnswer<GoldenItem>> ReadAsync(GoldenQuery query, CancellationToken cancellationToken)
    {
        var (from, to) = Ends(query);
        var part = await PartAsync(query, [(from, to)], cancellationToken);
        var bounded = query with { From = from, To = to };
        return Answer(bounded, to - from, part, GoldenMerge.Items(bounded, plan: null, [part], knowsOpen: true));
    }

    /// <inheritdoc/>
    public async Task<GoldenAnswer<GoldenSeries>> ReadSeriesAsync(GoldenQuery query, TimeSpan step, CancellationToken cancellationToken)
    {
        var (from, to) = Ends(query);
        var plan = GoldenPlan.Of(from, to, step, DateTimeOffset.MinValue);
        var part = await SeriesAsync(query, plan, cancellationToken);
        return Answer(query with { From = plan.From, To = to }, plan.Step, part, GoldenMerge.Series(query, plan, [part]));
    }

    /// <inheritdoc/>
    public async Task<GoldenAnswer<DecisionCount>> DecisionsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var decisions = new List<DecisionCount>();
        foreach (var (metric, side) in new[] { (MeshTags.ClientDecisions, "client"), (MeshTags.ServerDecisions, "server") })
        {
            var by = string.Join(',', PromLabels.Decision, PromLabels.Reason, PromLabels.Destination, PromLabels.DestinationNamespace, "job", "namespace");
            foreach (var (labels, count) in await IncreasesAsync(PromLabels.Counter(metric), [], by, string.Empty, from, to, cancellationToken))
            {
                string Label(string name) => labels.GetValueOrDefault(name, string.Empty);
                if (count > 0)
                {
                    decisions.Add(new DecisionCount(Label("job"), Label("namespace"), side, Label(PromLabels.Decision), Label(PromLabels.Reason), Label(PromLabels.Destination), Label(PromLabels.DestinationNamespace), count));
                }
            }
        }

        var about = new GoldenPart(time.GetUtcNow(), await ReachesBackToAsync(cancellationToken), "prometheus", [], FrozenSet<Caller>.Empty, []);
        return Answer<DecisionCount>(new GoldenQuery(GoldenBy.Pair, from, to), to - from, about, [.. decisions.OrderByDescending(d => d.Count).ThenBy(d => d.Decision, StringComparer.Ordinal)]);
    }

    /// <inheritdoc/>
    public IReadOnlyList<BalancerState> Balancers(string service, string @namespace) => balancers.Of(service, @namespace, time.GetUtcNow());

    private static GoldenAnswer<T> Answer<T>(GoldenQuery query, TimeSpan step, GoldenPart part, IReadOnlyList<T> items) =>
        new(query.From, query.To, step, part.ReachesBackTo, part.Store, [], [], items);

    private static (string, string?)[] Matchers(GoldenQuery query, SeriesKind kind)
    {
        (string, string?)[] common =
        [
            (PromLabels.Source, query.Source), (PromLabels.SourceNamespace, query.SourceNamespace), (PromLabels.Destination, query.Destination),
            (PromLabels.DestinationNamespace, query.DestinationNamespace), (PromLabels.Route, query.Route),
        ];
        return kind is SeriesKind.Attempt or SeriesKind.Served ? [.. common, (PromLabels.Endpoint, query.Endpoint)] : common;
    }

    private static bool IsAsked(GoldenQuery query, SeriesKind kind)
    {
        var isServer = new SeriesKey(kind, string.Empty, string.Empty, string.Empty, string.Empty).IsServer;
        return (query.View != GoldenView.Client || !isServer) && (query.View != GoldenView.Server || isServer) && (!query.IsByAttempt || kind is SeriesKind.Attempt or SeriesKind.Served);
    }

    /// <summary>From what is below each bound to what is in each bucket of ours, evenly within a bucket of theirs.</summary>
    private static void AddBuckets(SeriesCounts into, IEnumerable<(double UpTo, long Count)> cumulative)
    {
        long below = 0;
        foreach (var (upTo, count) in cumulative.OrderBy(c => c.UpTo))
        {
            var own = count - below;
            below = Math.Max(below, count);
            var top = double.IsPositiveInfinity(upTo) ? DurationHistogram.TotalBounds[^1] * 2 : upTo;
            var last = (int)Math.Ceiling(Math.Log2(top) * (1 << DurationHistogram.Scale)) - 1;
            for (var i = 0; i < 1 << DurationHistogram.Scale && own > 0; i++)
            {
                var share = own / ((1 << DurationHistogram.Scale) - i);
                into.Durations.Add(last - i, share);
                own -= share;
            }
        }
    }

    private static void Add(GoldenGroups groups, SeriesKind kind, int step, IEnumerable<(IReadOnlyDictionary<string, string> Labels, long Count)> buckets)
    {
        foreach (var one in buckets.GroupBy(b => string.Join('\n', b.Labels.Where(l => l.Key != PromLabels.UpTo).OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"))))
        {
            var labels = one.First().Labels;
            string Label(string name) => labels.GetValueOrDefault(name, string.Empty);
            var key = new SeriesKey(kind == SeriesKind.Attempt && Label(PromLabels.Reached) != "true" ? SeriesKind.LostAttempt : kind, Label(PromLabels.Source), Label(PromLabels.SourceNamespace), Label(PromLabels.Destination), Label(PromLabels.DestinationNamespace))
            {
                Route = Label(PromLabels.Route), Backend = Label(PromLabels.Backend), BackendNamespace = Label(PromLabels.BackendNamespace), Endpoint = Label(PromLabels.Endpoint),
            };
            var all = one.Select(b => (UpTo: b.Labels.GetValueOrDefault(PromLabels.UpTo) is "+Inf" or null ? double.PositiveInfinity : double.Parse(b.Labels[PromLabels.UpTo], CultureInfo.InvariantCulture), b.Count)).ToList();
            var total = all.Max(b => b.Count);
            if (total <= 0 || groups.Find(key) is not { } item)
            {
                continue;
            }

            var into = item.At(step).Of(GoldenCell.PartOf(key.Kind)!.Value);
            into.Add(Label(PromLabels.Outcome) switch { MeshTags.Success => CallOutcome.Good, MeshTags.Cancelled => CallOutcome.Cancelled, _ => CallOutcome.Bad }, Label(PromLabels.Tls) == "mesh", total);
            AddBuckets(into, all);
        }
    }

    private async Task<GoldenPart> PartAsync(GoldenQuery query, IReadOnlyList<(DateTimeOffset From, DateTimeOffset To)> steps, CancellationToken cancellationToken)
    {
        var groups = new GoldenGroups(query, steps.Count);
        var reporters = new HashSet<Caller>();
        foreach (var (kind, metric) in Histograms.Where(h => IsAsked(query, h.Kind)))
        {
            for (var i = 0; i < steps.Count; i++)
            {
                var found = await IncreasesAsync(PromLabels.Histogram(metric), Matchers(query, kind), PromLabels.All, PromLabels.UpTo, steps[i].From, steps[i].To, cancellationToken);
                Add(groups, kind, i, found);
            }
        }

        if (query.By is GoldenBy.Pair or GoldenBy.Service or GoldenBy.Workload && query is { IsByAttempt: false, Route: null })
        {
            await AddConnectionsAsync(groups, query, steps[0].From, steps[^1].To, cancellationToken);
        }

        if (query.View == GoldenView.Auto)
        {
            reporters.UnionWith(await ReportersAsync(steps[0].From, steps[^1].To, cancellationToken));
        }

        return await PartAsync(groups, reporters, steps[0].From, steps[^1].To, cancellationToken);
    }

    /// <summary>What connections carried that are no HTTP, and how many were open at the end.</summary>
    private async Task AddConnectionsAsync(GoldenGroups groups, GoldenQuery query, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        foreach (var (forth, back, metric) in Carried.Where(c => IsAsked(query, c.Forth)))
        {
            var gone = forth == SeriesKind.ServerReceived ? "transmit" : "receive";
            foreach (var (labels, count) in await IncreasesAsync(metric, Matchers(query, forth), PromLabels.Connection, string.Empty, from, to, cancellationToken))
            {
                var key = ConnectionKey(labels.GetValueOrDefault(PromLabels.IoDirection) == gone ? back : forth, labels);
                if (count > 0 && groups.Find(key) is { } item)
                {
                    item.At(0).Of(GoldenCell.PartOf(key.Kind)!.Value).Add(CallOutcome.Good, labels.GetValueOrDefault(PromLabels.Tls) == "mesh", count);
                }
            }
        }

        foreach (var (kind, metric) in Open.Where(o => IsAsked(query, o.Kind)))
        {
            foreach (var series in await server.QueryAsync($"sum by ({PromLabels.Connection}) ({PromQl.Selector(metric, Matchers(query, kind))})", to, cancellationToken))
            {
                if (groups.Find(ConnectionKey(kind, series.Labels)) is { } item)
                {
                    item.OpenConnections += (long)Math.Round(series.Samples[0].Value);
                }
            }
        }
    }

    private static SeriesKey ConnectionKey(SeriesKind kind, IReadOnlyDictionary<string, string> labels) => new(
        kind, labels.GetValueOrDefault(PromLabels.Source, string.Empty), labels.GetValueOrDefault(PromLabels.SourceNamespace, string.Empty),
        labels.GetValueOrDefault(PromLabels.Destination, string.Empty), labels.GetValueOrDefault(PromLabels.DestinationNamespace, string.Empty));

    /// <summary>By step: differences of what was scraped, a counter that began again counting from nothing in its step.</summary>
    private async Task<GoldenPart> SeriesAsync(GoldenQuery query, GoldenPlan plan, CancellationToken cancellationToken)
    {
        var groups = new GoldenGroups(query, plan.Steps);
        var step = plan.StepSlots!.Value * Slots.Fine;
        foreach (var (kind, metric) in Histograms.Where(h => IsAsked(query, h.Kind)))
        {
            var selector = PromQl.Selector(PromLabels.Histogram(metric), Matchers(query, kind));
            var before = $"{selector} offset {(long)step.TotalSeconds}s";
            var asked = $"sum by ({PromLabels.All}) (({selector} - {before}) >= 0 or {selector})";
            var found = await server.QueryRangeAsync(asked, plan.From + step, plan.From + (step * plan.Steps), step, cancellationToken);
            var byStep = found.SelectMany(s => s.Samples.Select(v => (Step: (int)Math.Round((v.At - plan.From) / step) - 1, s.Labels, Count: (long)Math.Round(v.Value)))).Where(s => s.Step >= 0 && s.Step < plan.Steps).GroupBy(s => s.Step);
            foreach (var one in byStep)
            {
                Add(groups, kind, one.Key, one.Select(s => (s.Labels, s.Count)));
            }
        }

        var reporters = query.View == GoldenView.Auto ? await ReportersAsync(plan.From, plan.To, cancellationToken) : [];
        return await PartAsync(groups, reporters, plan.From, query.To, cancellationToken);
    }

    private async Task<GoldenPart> PartAsync(GoldenGroups groups, IEnumerable<Caller> reporters, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var reach = await ReachesBackToAsync(cancellationToken);
        List<PartItem> items = [.. groups.Items];
        foreach (var item in items)
        {
            item.Cover(reach > from ? reach : from, to);
        }

        return new GoldenPart(to, reach, "prometheus", [], reporters.ToFrozenSet(), items);
    }

    private async Task<IEnumerable<Caller>> ReportersAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var window = (long)(to - from + PromQl.LookBack).TotalSeconds;
        // Who has nothing but connections is heard too.
        var known = new[] { $"{PromLabels.Histogram(MeshTags.ClientCallDuration)}{{le=\"+Inf\"}}", PromLabels.Counter(MeshTags.ClientConnectionOpened), PromLabels.Gauge(MeshTags.ClientConnectionOpen) }
            .Select(metric => $"group by ({PromLabels.Source},{PromLabels.SourceNamespace}) (last_over_time({metric}[{window}s] @ {PrometheusServer.Number(to)}))");
        var found = await server.QueryAsync(string.Join(" or ", known), to, cancellationToken);
        return found.Select(s => new Caller(s[PromLabels.Source], s[PromLabels.SourceNamespace]));
    }

    private async Task<IReadOnlyList<(IReadOnlyDictionary<string, string> Labels, long Count)>> IncreasesAsync(
        string name, (string, string?)[] matchers, string by, string apart, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var selector = PromQl.Selector(name, matchers);
        var sums = await server.QueryAsync(PromQl.Increase(selector, by, from, to, apart), to, cancellationToken);
        var found = sums.Select(s => (s.Labels, (long)Math.Round(s.Samples[0].Value))).ToList();
        var reset = await server.QueryAsync(PromQl.Reset(selector, from, to, apart), to, cancellationToken);
        if (reset.Count > MaxReset)
        {
            throw new GoldenUnavailableException($"{reset.Count} counters of {name} began again in that time; at most {MaxReset} are looked at one by one. Ask for less time, or for one service.");
        }

        var wanted = by.Split(',');
        foreach (var one in reset)
        {
            foreach (var series in await server.QueryAsync(PromQl.Samples(name, one.Labels, from, to), to, cancellationToken))
            {
                found.Add((series.Labels.Where(l => wanted.Contains(l.Key)).ToDictionary(l => l.Key, l => l.Value, StringComparer.Ordinal), (long)Math.Round(PromQl.Increase(series.Samples, from))));
            }
        }

        // The same names may have come both ways.
        return [.. found.GroupBy(f => string.Join('\n', f.Labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"))).Select(g => (g.First().Labels, g.Sum(f => f.Item2)))];
    }

    private (DateTimeOffset From, DateTimeOffset To) Ends(GoldenQuery query)
    {
        var now = time.GetUtcNow();
        var to = query.To < now ? query.To : now;
        return (query.From < to - Longest ? to - Longest : query.From, to);
    }

    /// <summary>When the oldest of our metrics was scraped, to the quarter of a minute within the last hour, else to the hour.</summary>
    private async Task<DateTimeOffset> ReachesBackToAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (_reach is { } known && now - known.AskedAt < ReachFresh)
        {
            return known.At;
        }

        var any = $"count({PromLabels.Histogram(MeshTags.ClientCallDuration)}{{le=\"+Inf\"}}) or count({PromLabels.Histogram(MeshTags.ServerCallDuration)}{{le=\"+Inf\"}})";
        var oldest = now;
        foreach (var (back, step) in new[] { (TimeSpan.FromHours(1), TimeSpan.FromSeconds(15)), (Longest, TimeSpan.FromHours(1)) })
        {
            foreach (var series in await server.QueryRangeAsync(any, now - back, now, step, cancellationToken))
            {
                oldest = series.Samples[0].At < oldest ? series.Samples[0].At : oldest;
            }
        }

        _reach = new Reach(oldest, now);
        return oldest;
    }

    private sealed record Reach(DateTimeOffset At, DateTimeOffset AskedAt);
}
