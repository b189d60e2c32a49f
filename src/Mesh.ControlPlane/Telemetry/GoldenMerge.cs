namespace Mesh.ControlPlane.Telemetry;

/// <summary>Adds the parts of all replicas, then divides: buckets are added, never percentiles.</summary>
internal static class GoldenMerge
{
    /// <summary>Who was heard of so long ago still reports: the time since then was not yet told of.</summary>
    private static readonly TimeSpan StillReports = TimeSpan.FromSeconds(10);

    /// <param name="plan">Null: since the start.</param>
    /// <param name="knowsOpen">The parts say how many connections were open at the end of the time; else they say what is open now.</param>
    public static IReadOnlyList<GoldenItem> Items(GoldenQuery query, GoldenPlan? plan, IReadOnlyList<GoldenPart> parts, bool knowsOpen = false)
    {
        var now = parts.Max(p => p.Now);
        knowsOpen |= now - query.To <= GoldenQuery.StillNow;
        return
        [
            .. from one in Sum(parts)
               let cell = one.Cells[0]
               where cell is { IsEmpty: false } || (knowsOpen && one.OpenConnections > 0)
               let numbers = (cell ?? new GoldenCell()).Numbers(query.IsByAttempt, Over(query, plan, one, now))
               select new GoldenItem(one.Key, numbers with { OpenConnections = knowsOpen ? one.OpenConnections : null }),
        ];
    }

    public static IReadOnlyList<GoldenSeries> Series(GoldenQuery query, GoldenPlan plan, IReadOnlyList<GoldenPart> parts) =>
    [
        .. from one in Sum(parts)
           let steps = one.Cells.Select(c => c?.Numbers(query.IsByAttempt, TimeSpan.FromSeconds(1))).ToList()
           where steps.Exists(s => s is not null)
           select new GoldenSeries(
               one.Key, plan.From, [.. steps.Select(s => s?.Requests)], [.. steps.Select(s => s?.Failures)], [.. steps.Select(s => s?.Retries)],
               [.. steps.Select(s => s?.P50Ms)], [.. steps.Select(s => s?.P95Ms)], [.. steps.Select(s => s?.P99Ms)]),
    ];

    private static IEnumerable<PartItem> Sum(IReadOnlyList<GoldenPart> parts)
    {
        var reporters = parts.SelectMany(p => p.Reporters).ToHashSet();
        return
        [
            .. parts.SelectMany(p => p.Items)
                .Where(i => i.WitnessedFrom is not { } caller || !reporters.Contains(caller))
                .GroupBy(i => i.Key)
                .Select(Sum)
                .OrderBy(i => i.Key.SourceNamespace, StringComparer.Ordinal).ThenBy(i => i.Key.Source, StringComparer.Ordinal)
                .ThenBy(i => i.Key.DestinationNamespace, StringComparer.Ordinal).ThenBy(i => i.Key.Destination, StringComparer.Ordinal)
                .ThenBy(i => i.Key.Route, StringComparer.Ordinal).ThenBy(i => i.Key.Backend, StringComparer.Ordinal).ThenBy(i => i.Key.Endpoint, StringComparer.Ordinal),
        ];
    }

    private static PartItem Sum(IGrouping<GoldenKey, PartItem> same)
    {
        var (servers, clients) = (same.Any(i => i.IsServer), same.Any(i => !i.IsServer));
        var sum = new PartItem(same.Key with { View = servers && clients ? null : servers ? "server" : "client" }, servers, null, same.First().Cells.Length);
        foreach (var item in same)
        {
            sum.Cover(item.First, item.Seen);
            sum.OpenConnections += item.OpenConnections;
            for (var i = 0; i < item.Cells.Length && i < sum.Cells.Length; i++)
            {
                if (item.Cells[i] is { } cell)
                {
                    sum.At(i).Add(cell);
                }
            }
        }

        return sum;
    }

    /// <summary>How long was counted: at most the window, at least since the first report, up to the last one.</summary>
    private static TimeSpan Over(GoldenQuery query, GoldenPlan? plan, PartItem item, DateTimeOffset now)
    {
        var from = plan is not null && plan.From > item.First ? plan.From : item.First;
        var measured = item.Seen <= now && now - item.Seen <= StillReports ? item.Seen : now;
        var to = plan is null ? measured : Earlier(measured, Earlier(query.To, plan.To));
        return to > from ? to - from : TimeSpan.Zero;
    }

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;
}
