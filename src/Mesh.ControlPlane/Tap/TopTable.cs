namespace Mesh.ControlPlane.Tap;

/// <summary>What <c>top</c> shows of requests that are alike (docs/api.md).</summary>
internal sealed record TopItem(
    string Source, string SourceNamespace, string Destination, string DestinationNamespace, string Method, string Path, long Count, double BestMs, double WorstMs, double LastMs, double SuccessRate);

/// <summary>Counts requests by who, whom, method and path, as they are seen. Not thread-safe: owned by who reads the tap.</summary>
internal sealed class TopTable
{
    /// <summary>Kinds that are told apart; the one that was seen longest ago makes room.</summary>
    public const int MostRows = 1000;

    /// <summary>Rows that are shown.</summary>
    public const int MostShown = 100;

    private readonly Dictionary<Key, Row> _rows = [];
    private long _turn;

    public void Add(TapEvent seen)
    {
        var key = new Key(seen.Source, seen.SourceNamespace, seen.Destination, seen.DestinationNamespace, seen.Method, seen.Path);
        if (!_rows.TryGetValue(key, out var row))
        {
            if (_rows.Count >= MostRows)
            {
                _rows.Remove(_rows.MinBy(r => r.Value.Turn).Key);
            }

            _rows[key] = row = new Row { Best = double.MaxValue };
        }

        row.Turn = ++_turn;
        row.Count++;
        row.Failed += seen.Failed ? 1 : 0;
        row.Best = Math.Min(row.Best, seen.LatencyMs);
        row.Worst = Math.Max(row.Worst, seen.LatencyMs);
        row.Last = seen.LatencyMs;
    }

    /// <summary>The most frequent first.</summary>
    public IReadOnlyList<TopItem> Items =>
    [
        .. _rows.OrderByDescending(r => r.Value.Count).ThenBy(r => r.Key.ToString(), StringComparer.Ordinal).Take(MostShown).Select(r => new TopItem(
            r.Key.Source, r.Key.SourceNamespace, r.Key.Destination, r.Key.DestinationNamespace, r.Key.Method, r.Key.Path,
            r.Value.Count, r.Value.Best, r.Value.Worst, r.Value.Last, 1 - ((double)r.Value.Failed / r.Value.Count))),
    ];

    private readonly record struct Key(string Source, string SourceNamespace, string Destination, string DestinationNamespace, string Method, string Path);

    private sealed class Row
    {
        public long Turn { get; set; }

        public long Count { get; set; }

        public long Failed { get; set; }

        public double Best { get; set; }

        public double Worst { get; set; }

        public double Last { get; set; }
    }
}
