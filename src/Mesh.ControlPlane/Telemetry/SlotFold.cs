namespace Mesh.ControlPlane.Telemetry;

/// <summary>Slots of the file summed up by what is asked again and again, so that each is read once and not at every question. Exact, and bounded. Not thread-safe: owned by the store's lock of files.</summary>
/// <remarks>
/// A group is what no question of this kind takes apart: one key, one side, one caller. Of a slot its groups' counts are kept as they would stand in a file, and which series they are of. Whoever writes to a
/// slot, drops or loses one says so, and it is read anew; a series that is forgotten ends all of it.
/// </remarks>
internal sealed class SlotFold(GoldenBy by, SeriesTable series, long maxBytes)
{
    /// <summary>Of each refresh of the overview the hour before is read; of other documents what is now.</summary>
    private const long MostBytesOfHours = 12L << 20;

    private const long MostBytesOfMinutes = 2L << 20;

    /// <summary>Of an entry and its arrays.</summary>
    private const int Overhead = 160;

    /// <summary>Connections that are open name groups too, which no series bounds.</summary>
    private const int MostGroups = 50_000;

    private readonly Dictionary<(SlotTier Tier, long Slot), FoldedSlot> _slots = [];
    private readonly Dictionary<int, int> _bySeries = [];
    private readonly Dictionary<PartItem, int> _numbers = [];
    private readonly List<SeriesKey> _groups = [];
    private GoldenGroups _sorting = Sorting(by);
    private FoldedSlot? _last;
    private int _removals = series.Removals;

    public long Bytes { get; private set; }

    /// <summary>For what documents ask.</summary>
    public static SlotFold[] OfDocuments(SeriesTable series) =>
    [
        new(GoldenBy.Service, series, MostBytesOfHours), new(GoldenBy.Backend, series, MostBytesOfHours),
        new(GoldenBy.Pair, series, MostBytesOfMinutes), new(GoldenBy.Workload, series, MostBytesOfMinutes),
    ];

    /// <summary>Nothing is asked for that would take a group apart.</summary>
    public bool Answers(GoldenQuery query) => query.By == by && query.Route is null && query.Endpoint is null && (query.Backend is null || by == GoldenBy.Backend)
        && ((query.Source is null && query.SourceNamespace is null) || by is GoldenBy.Pair or GoldenBy.Workload)
        && ((query.Destination is null && query.DestinationNamespace is null) || by != GoldenBy.Workload)
        && (query.Namespace is null || by == GoldenBy.Pair);

    public FoldedSlot? Find(SlotTier tier, long slot) => _slots.GetValueOrDefault((tier, slot));

    public KnownSeries? Series(int id) => series.ById(id);

    /// <summary>By which the group is known to every question.</summary>
    public SeriesKey KeyOf(int group) => _groups[group];

    /// <summary>The number of the group that a series counts for; −1: for none.</summary>
    public int GroupOf(KnownSeries one)
    {
        if (!_bySeries.TryGetValue(one.Id, out var group))
        {
            _bySeries[one.Id] = group = GroupOf(one.Key);
        }

        return group;
    }

    /// <summary>To be called before a question: what was forgotten since is in no answer.</summary>
    public void Check()
    {
        var removals = series.Removals;
        if (removals != _removals || _groups.Count > MostGroups)
        {
            _removals = removals;
            Clear();
        }
    }

    public void Keep(SlotTier tier, long slot, FoldedSlot fold)
    {
        // Mostly the same series count in slot after slot.
        fold = _last is { } last && last.Series.AsSpan().SequenceEqual(fold.Series) ? fold with { Series = last.Series } : fold;
        _last = fold;
        Forget(tier, slot);
        _slots[(tier, slot)] = fold;
        Bytes += Size(fold);
        if (Bytes > maxBytes)
        {
            foreach (var oldest in _slots.Keys.OrderBy(k => Slots.Start(k.Slot, k.Tier)).ToList())
            {
                if (Bytes <= maxBytes * 3 / 4)
                {
                    break;
                }

                Forget(oldest.Tier, oldest.Slot);
            }
        }
    }

    public void Forget(SlotTier tier, long slot)
    {
        if (_slots.Remove((tier, slot), out var fold))
        {
            Bytes -= Size(fold);
        }
    }

    public void ForgetBefore(SlotTier tier, long before)
    {
        foreach (var (_, slot) in _slots.Keys.Where(k => k.Tier == tier && k.Slot < before).ToList())
        {
            Forget(tier, slot);
        }
    }

    public void Clear()
    {
        _slots.Clear();
        _bySeries.Clear();
        _numbers.Clear();
        _groups.Clear();
        _sorting = Sorting(by);
        (_last, Bytes) = (null, 0);
    }

    private int GroupOf(in SeriesKey key)
    {
        if (_sorting.Find(key) is not { } item)
        {
            return -1;
        }

        if (!_numbers.TryGetValue(item, out var number))
        {
            _numbers[item] = number = _groups.Count;
            _groups.Add(key);
        }

        return number;
    }

    private static GoldenGroups Sorting(GoldenBy by) => new(new GoldenQuery(by, default, default), steps: 0);

    private static int Size(FoldedSlot fold) => fold.Counts.Length + fold.Series.Length + Overhead;
}

/// <summary>One slot by groups.</summary>
/// <param name="Counts">As <see cref="SlotCodec"/> writes them; the number is of group and part.</param>
/// <param name="Series">Numbers of the series in it, each as the difference to the one before.</param>
internal sealed record FoldedSlot(byte[] Counts, byte[] Series);

/// <summary>One slot while it is summed up by groups.</summary>
internal sealed class FoldingSlot(SlotFold fold)
{
    private readonly Dictionary<int, SeriesCounts> _cells = [];
    private readonly SortedSet<int> _series = [];

    /// <summary>All of it could be read.</summary>
    public bool IsWhole { get; set; } = true;

    /// <summary>Where the counts of a series go; null: it is not wanted.</summary>
    public SeriesCounts? Into(int id)
    {
        if (fold.Series(id) is not { } series || fold.GroupOf(series) is not (>= 0 and var group) || GoldenCell.PartOf(series.Key.Kind) is not { } part)
        {
            return null;
        }

        _series.Add(id);
        var cell = (group * GoldenCell.Parts) + (int)part;
        if (!_cells.TryGetValue(cell, out var counts))
        {
            _cells[cell] = counts = new SeriesCounts();
        }

        return counts;
    }

    public FoldedSlot Done()
    {
        var ids = new ByteWriter();
        var last = 0;
        foreach (var id in _series)
        {
            ids.Write(id - last);
            last = id;
        }

        return new FoldedSlot(SlotCodec.Encode(_cells), ids.Written.ToArray());
    }
}

/// <summary>What one question gathers from folded slots.</summary>
internal sealed class FoldedItems(SlotFold fold, GoldenGroups groups)
{
    private readonly Dictionary<int, PartItem?> _items = [];
    private readonly HashSet<int> _series = [];
    private byte[]? _lastSeries;

    public SlotFold Fold => fold;

    public void Add(FoldedSlot slot, int step)
    {
        SlotCodec.Decode(slot.Counts, cell => ItemOf(cell / GoldenCell.Parts)?.At(step).Of((CellPart)(cell % GoldenCell.Parts)));
        if (ReferenceEquals(_lastSeries, slot.Series))
        {
            return;
        }

        _lastSeries = slot.Series;
        var ids = new ByteReader(slot.Series);
        long id = 0;
        while (!ids.IsAtEnd)
        {
            id += ids.Read();
            _series.Add((int)id);
        }
    }

    /// <summary>What stands in no file yet.</summary>
    public void Add(int id, SeriesCounts counts, int step)
    {
        if (fold.Series(id) is { } series && fold.GroupOf(series) is >= 0 and var group && GoldenCell.PartOf(series.Key.Kind) is { } part)
        {
            _series.Add(id);
            ItemOf(group)?.At(step).Of(part).Add(counts);
        }
    }

    /// <summary>Since when, and up to when, its items were counted. Under the store's lock.</summary>
    public void Cover()
    {
        foreach (var id in _series)
        {
            if (fold.Series(id) is { } series && ItemOf(fold.GroupOf(series)) is { } item)
            {
                item.Cover(series.First, series.Seen);
            }
        }
    }

    private PartItem? ItemOf(int group)
    {
        if (!_items.TryGetValue(group, out var item))
        {
            _items[group] = item = groups.Find(fold.KeyOf(group));
        }

        return item;
    }
}
