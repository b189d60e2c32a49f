namespace Mesh.ControlPlane.Telemetry;

/// <summary>Sorts series into the items of one question. Not thread-safe: each question has its own.</summary>
internal sealed class GoldenGroups(GoldenQuery query, int steps)
{
    private readonly Dictionary<(GoldenKey, bool, Caller?), PartItem> _items = [];
    private readonly Dictionary<int, PartItem?> _bySeries = [];

    public IEnumerable<PartItem> Items => _items.Values;

    /// <summary>The item that a series counts for; null: for none.</summary>
    public PartItem? ItemOf(KnownSeries series)
    {
        if (!_bySeries.TryGetValue(series.Id, out var item))
        {
            _bySeries[series.Id] = item = Find(series.Key);
        }

        return item;
    }

    /// <summary>The item that a series was sorted into already.</summary>
    public PartItem? Has(int series) => _bySeries.GetValueOrDefault(series);

    /// <summary>The item that a key counts for; null: for none.</summary>
    public PartItem? Find(in SeriesKey key)
    {
        if (!IsWanted(key))
        {
            return null;
        }

        // Whether a caller is heard itself is known when the parts of all replicas are together.
        Caller? witnessed = query.View == GoldenView.Auto && key.IsServer && key.Source != Mesh.Telemetry.MeshTags.Unmeshed ? new Caller(key.Source, key.SourceNamespace) : null;
        var group = (KeyOf(key), key.IsServer, witnessed);
        if (!_items.TryGetValue(group, out var item))
        {
            _items[group] = item = new PartItem(group.Item1, group.IsServer, witnessed, steps);
        }

        return item;
    }

    private bool IsWanted(in SeriesKey key)
    {
        if (GoldenCell.PartOf(key.Kind) is not { } part
            || (key.Source.Length == 0 && query.By is GoldenBy.Pair or GoldenBy.Workload)
            || (key.Destination.Length == 0 && query.By != GoldenBy.Workload)
            || (query.View == GoldenView.Client && key.IsServer)
            || (query.View == GoldenView.Server && !key.IsServer)
            || (query.By == GoldenBy.Route && part is CellPart.Connections or CellPart.Received or CellPart.Sent or CellPart.Opened)
            || (query.IsByAttempt && part is not (CellPart.Attempts or CellPart.Lost or CellPart.Served)))
        {
            return false;
        }

        return Is(query.Source, key.Source) && Is(query.SourceNamespace, key.SourceNamespace)
            && Is(query.Destination, key.Destination) && Is(query.DestinationNamespace, key.DestinationNamespace)
            && (query.Namespace is null || query.Namespace == key.SourceNamespace || query.Namespace == key.DestinationNamespace)
            && Is(query.Route, key.Route) && Is(query.Endpoint, key.Endpoint) && Is(query.Backend, BackendOf(key).Name);
    }

    private GoldenKey KeyOf(in SeriesKey key)
    {
        var all = new GoldenKey();
        if (query.By is GoldenBy.Pair or GoldenBy.Workload)
        {
            all = all with { Source = key.Source, SourceNamespace = key.SourceNamespace };
        }

        if (query.By != GoldenBy.Workload)
        {
            all = all with { Destination = key.Destination, DestinationNamespace = key.DestinationNamespace };
        }

        if (query.By == GoldenBy.Route)
        {
            all = all with { Route = key.Route };
        }

        if (query.By is GoldenBy.Endpoint or GoldenBy.Backend)
        {
            var (name, ns) = BackendOf(key);
            all = all with { Backend = name, BackendNamespace = ns };
        }

        return query.By == GoldenBy.Endpoint ? all with { Endpoint = key.Endpoint } : all;
    }

    /// <summary>Without a split what is called is what answers.</summary>
    private static (string Name, string Namespace) BackendOf(in SeriesKey key) =>
        key.Backend.Length > 0 ? (key.Backend, key.BackendNamespace) : (key.Destination, key.DestinationNamespace);

    private static bool Is(string? wanted, string value) => wanted is null || wanted == value;
}
