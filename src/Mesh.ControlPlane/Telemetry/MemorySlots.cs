namespace Mesh.ControlPlane.Telemetry;

/// <summary>Slots in memory, as compact as they would stand on disk.</summary>
internal sealed class MemorySlots : ISlotFile
{
    /// <summary>Of an array and its place in lists.</summary>
    private const int Overhead = 64;

    private readonly SortedDictionary<long, List<byte[]>>[] _tiers = [[], []];

    /// <inheritdoc/>
    public string Kind => "memory";

    /// <inheritdoc/>
    public long Bytes { get; private set; }

    /// <inheritdoc/>
    public long Losses => 0;

    /// <inheritdoc/>
    public SavedState Load() => SavedState.Empty;

    /// <inheritdoc/>
    public void Write(SlotBatch batch)
    {
        foreach (var part in batch.Parts)
        {
            var tier = _tiers[(int)part.Tier];
            if (!tier.TryGetValue(part.Slot, out var parts))
            {
                tier[part.Slot] = parts = [];
            }

            parts.Add(part.Bytes);
            Bytes += part.Bytes.Length + Overhead;
        }
    }

    /// <inheritdoc/>
    public IEnumerable<SlotPart> Read(SlotTier tier, long from, long to)
    {
        var slots = _tiers[(int)tier];
        if (slots.Count == 0)
        {
            yield break;
        }

        // A look-up per slot where the time is short, one walk where it is long.
        var asked = to - from <= slots.Count ? Numbers(from, to) : slots.Keys.Where(s => s >= from && s < to);
        foreach (var slot in asked)
        {
            foreach (var part in slots.GetValueOrDefault(slot, []))
            {
                yield return new SlotPart(tier, slot, part);
            }
        }
    }

    /// <inheritdoc/>
    public long? Oldest(SlotTier tier) => _tiers[(int)tier].Count == 0 ? null : _tiers[(int)tier].Keys.First();

    /// <inheritdoc/>
    public void Drop(SlotTier tier, long before)
    {
        var slots = _tiers[(int)tier];
        foreach (var slot in slots.Keys.TakeWhile(s => s < before).ToList())
        {
            Bytes -= slots[slot].Sum(p => p.Length + Overhead);
            slots.Remove(slot);
        }
    }

    public void Dispose()
    {
        // It goes with the process.
    }

    private static IEnumerable<long> Numbers(long from, long to)
    {
        for (var i = from; i < to; i++)
        {
            yield return i;
        }
    }
}
