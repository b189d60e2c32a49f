namespace Mesh.ControlPlane.Telemetry;

/// <summary>What came in since the last flush, by slot. Thread-safe; its lock is the innermost of the store's.</summary>
internal sealed class OpenSlots(long rolled)
{
    private readonly Lock _lock = new();
    private Dictionary<(SlotTier Tier, long Slot), Dictionary<int, SeriesCounts>> _slots = [];
    private long _rolled = rolled;

    /// <summary>The first coarse slot that was not yet summed up.</summary>
    public long Rolled
    {
        get
        {
            lock (_lock)
            {
                return _rolled;
            }
        }
    }

    /// <summary>All of a report at once: nobody sees half of it.</summary>
    public void Add(int id, Measure measure, IEnumerable<SlotShare> shares)
    {
        lock (_lock)
        {
            foreach (var share in shares)
            {
                if (share.Count == 0)
                {
                    continue;
                }

                CountsLocked(SlotTier.Fine, share.Slot, id).Add(measure, share.Count, share.Durations);
                if (share.Slot / Slots.PerCoarse < _rolled)
                {
                    CountsLocked(SlotTier.Coarse, share.Slot / Slots.PerCoarse, id).Add(measure, share.Count, share.Durations);
                }
            }
        }
    }

    /// <summary>All of them: from here on they are the file's.</summary>
    public IReadOnlyDictionary<(SlotTier Tier, long Slot), Dictionary<int, SeriesCounts>> Take()
    {
        lock (_lock)
        {
            var taken = _slots;
            _slots = [];
            return taken;
        }
    }

    /// <summary>The file's fine slots of this block were summed up: what came for it since they were read is from here on in both tiers.</summary>
    public void Roll(long block)
    {
        lock (_lock)
        {
            foreach (var (_, series) in _slots.Where(s => s.Key.Tier == SlotTier.Fine && s.Key.Slot / Slots.PerCoarse == block).ToList())
            {
                foreach (var (id, counts) in series)
                {
                    CountsLocked(SlotTier.Coarse, block, id).Add(counts);
                }
            }

            _rolled = block + 1;
        }
    }

    /// <summary>Shows what there is of the slots in [from, to): slot, series, counts.</summary>
    public void Visit(SlotTier tier, long from, long to, Action<long, int, SeriesCounts> visitor)
    {
        lock (_lock)
        {
            foreach (var ((openTier, slot), counted) in _slots)
            {
                if (openTier == tier && slot >= from && slot < to)
                {
                    foreach (var (id, counts) in counted)
                    {
                        visitor(slot, id, counts);
                    }
                }
            }
        }
    }

    private SeriesCounts CountsLocked(SlotTier tier, long slot, int id)
    {
        if (!_slots.TryGetValue((tier, slot), out var series))
        {
            _slots[(tier, slot)] = series = [];
        }

        if (!series.TryGetValue(id, out var counts))
        {
            series[id] = counts = new SeriesCounts();
        }

        return counts;
    }
}
