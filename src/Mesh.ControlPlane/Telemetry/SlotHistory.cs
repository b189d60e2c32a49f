namespace Mesh.ControlPlane.Telemetry;

/// <summary>Slots of the past: sums fine ones up to coarse ones, forgets what is too old or too much, and goes through what is kept. Not thread-safe: owned by the store's lock of files.</summary>
/// <param name="folds">Of slots that stand in the file; told of whatever is written, dropped or lost there.</param>
internal sealed class SlotHistory(ISlotFile file, OpenSlots open, IReadOnlyList<SlotFold> folds, long maxBytes) : IDisposable
{
    /// <summary>A coarse slot is summed up when most of it came; what comes later is added to it as well.</summary>
    private static readonly TimeSpan RollAfter = TimeSpan.FromMinutes(1);

    private long _damaged;
    private long _losses = file.Losses;
    private DateTimeOffset _forgotten;

    public string Kind => file.Kind;

    public long Bytes => file.Bytes;

    /// <summary>Parts of slots that could not be read. May be read without the lock.</summary>
    public long Damaged => Interlocked.Read(ref _damaged);

    public void Write(SlotBatch batch)
    {
        file.Write(batch);
        foreach (var fold in folds)
        {
            foreach (var part in batch.Parts)
            {
                fold.Forget(part.Tier, part.Slot);
            }
        }
    }

    /// <summary>Sums up and forgets what is due.</summary>
    public void Age(DateTimeOffset now)
    {
        Roll(now);
        Trim(now);
    }

    /// <summary>From when on every fine slot is there.</summary>
    public DateTimeOffset FineFrom(DateTimeOffset now)
    {
        if (OldestSum() is null)
        {
            return DateTimeOffset.MinValue;
        }

        var kept = Slots.Start(Slots.Of(now - GoldenLimits.FineKept, SlotTier.Coarse) + 1, SlotTier.Coarse);
        // Fine slots from before the oldest one were dropped.
        return file.Oldest(SlotTier.Fine) is { } fine && Slots.Start(fine) > kept ? Slots.Start(fine / Slots.PerCoarse, SlotTier.Coarse) : kept;
    }

    /// <summary>What is the first time of which anything can be said.</summary>
    /// <param name="started">From then on in any case, as long as nothing was forgotten.</param>
    public DateTimeOffset Oldest(DateTimeOffset started)
    {
        var oldest = started;
        if (file.Oldest(SlotTier.Fine) is { } fine && Slots.Start(fine) < oldest)
        {
            oldest = Slots.Start(fine);
        }

        if (OldestSum() is { } sum && Slots.Start(sum, SlotTier.Coarse) < oldest)
        {
            oldest = Slots.Start(sum, SlotTier.Coarse);
        }

        return oldest > _forgotten ? oldest : _forgotten;
    }

    /// <summary>Goes through all that is kept of the planned slots, each count once.</summary>
    /// <param name="into">Of a series, by number, and a fine slot: what to add to; null: it is not wanted.</param>
    public void Walk(GoldenPlan plan, Func<int, long, SeriesCounts?> into)
    {
        foreach (var (tier, from, to) in Ranges(plan))
        {
            Walk(tier, from, to, into);
        }
    }

    /// <summary>The same, from slots that were summed up before where there are some.</summary>
    public void Walk(GoldenPlan plan, FoldedItems into)
    {
        if (file.Losses != _losses)
        {
            _losses = file.Losses;
            foreach (var fold in folds)
            {
                fold.Clear();
            }
        }

        into.Fold.Check();
        foreach (var (tier, from, to) in Ranges(plan))
        {
            var perSlot = tier == SlotTier.Fine ? 1 : Slots.PerCoarse;
            // A few at a time: what is summed up takes more room than what is kept of it.
            for (var first = from; first < to; first += Slots.PerCoarse)
            {
                foreach (var (slot, folded) in Folded(into.Fold, tier, first, Math.Min(first + Slots.PerCoarse, to)))
                {
                    into.Add(folded, plan.StepOf(slot * perSlot));
                }
            }

            open.Visit(tier, from, to, (slot, id, counts) => into.Add(id, counts, plan.StepOf(slot * perSlot)));
        }
    }

    public void Dispose() => file.Dispose();

    /// <summary>Whole blocks are read as sums where steps allow it: 7 days are 2016 of them.</summary>
    private IEnumerable<(SlotTier Tier, long From, long To)> Ranges(GoldenPlan plan)
    {
        var (first, last) = ((plan.FromSlot + Slots.PerCoarse - 1) / Slots.PerCoarse, Math.Min(plan.ToSlot / Slots.PerCoarse, open.Rolled));
        return first < last && (plan.StepSlots ?? Slots.PerCoarse) % Slots.PerCoarse == 0
            ? [(SlotTier.Fine, plan.FromSlot, first * Slots.PerCoarse), (SlotTier.Coarse, first, last), (SlotTier.Fine, last * Slots.PerCoarse, plan.ToSlot)]
            : [(SlotTier.Fine, plan.FromSlot, plan.ToSlot)];
    }

    private List<(long Slot, FoldedSlot Folded)> Folded(SlotFold fold, SlotTier tier, long from, long to)
    {
        var all = new List<(long, FoldedSlot)>();
        for (var slot = from; slot < to; slot++)
        {
            if (fold.Find(tier, slot) is { } known)
            {
                all.Add((slot, known));
                continue;
            }

            var first = slot;
            while (slot + 1 < to && fold.Find(tier, slot + 1) is null)
            {
                slot++;
            }

            all.AddRange(ReadAndFold(fold, tier, first, slot + 1));
        }

        return all;
    }

    private List<(long Slot, FoldedSlot Folded)> ReadAndFold(SlotFold fold, SlotTier tier, long from, long to)
    {
        var folding = new Dictionary<long, FoldingSlot>();
        var losses = file.Losses;
        foreach (var part in file.Read(tier, from, to))
        {
            if (!folding.TryGetValue(part.Slot, out var one))
            {
                folding[part.Slot] = one = new FoldingSlot(fold);
            }

            one.IsWhole &= TryDecode(part, one.Into);
        }

        var all = new List<(long, FoldedSlot)>();
        for (var slot = from; slot < to; slot++)
        {
            var one = folding.GetValueOrDefault(slot) ?? new FoldingSlot(fold);
            var folded = one.Done();
            all.Add((slot, folded));
            if (one.IsWhole && file.Losses == losses)
            {
                fold.Keep(tier, slot, folded);
            }
        }

        return all;
    }

    private void Walk(SlotTier tier, long from, long to, Func<int, long, SeriesCounts?> into)
    {
        var perSlot = tier == SlotTier.Fine ? 1 : Slots.PerCoarse;
        foreach (var part in file.Read(tier, from, to))
        {
            TryDecode(part, id => into(id, part.Slot * perSlot));
        }

        open.Visit(tier, from, to, (slot, id, counts) => into(id, slot * perSlot)?.Add(counts));
    }

    private bool TryDecode(in SlotPart part, Func<int, SeriesCounts?> into)
    {
        try
        {
            SlotCodec.Decode(part.Bytes, into);
            return true;
        }
        catch (InvalidDataException)
        {
            // SQLite found nothing wrong with its file, and yet: what is left of the part is not counted, and that is.
            Interlocked.Increment(ref _damaged);
            return false;
        }
    }

    /// <summary>The oldest coarse slot, if it is of a time of which no fine slot is kept any more; null: fine ones reach as far back.</summary>
    private long? OldestSum() => file.Oldest(SlotTier.Coarse) is { } sum && !(sum >= file.Oldest(SlotTier.Fine) / Slots.PerCoarse) ? sum : null;

    private void Roll(DateTimeOffset now)
    {
        var until = Slots.Of(now - RollAfter, SlotTier.Coarse);
        if (file.Oldest(SlotTier.Fine) is not { } oldest)
        {
            return;
        }

        for (var block = Math.Max(open.Rolled, oldest / Slots.PerCoarse); block < until; block++)
        {
            var sums = new Dictionary<int, SeriesCounts>();
            foreach (var part in file.Read(SlotTier.Fine, block * Slots.PerCoarse, (block + 1) * Slots.PerCoarse))
            {
                SlotCodec.Decode(part.Bytes, id =>
                {
                    if (!sums.TryGetValue(id, out var counts))
                    {
                        sums[id] = counts = new SeriesCounts();
                    }

                    return counts;
                });
            }

            open.Roll(block);
            List<SlotPart> parts = sums.Count == 0 ? [] : [new(SlotTier.Coarse, block, SlotCodec.Encode(sums))];
            Write(new SlotBatch(parts) { Rolled = block + 1 });
        }
    }

    private void Trim(DateTimeOffset now)
    {
        var rolled = open.Rolled;
        Drop(SlotTier.Fine, Math.Min(Slots.Of(now - GoldenLimits.FineKept, SlotTier.Coarse), rolled) * Slots.PerCoarse);
        Forget(Slots.Of(now - GoldenLimits.CoarseKept, SlotTier.Coarse));

        // Fine slots older than an hour go before the sums that they are in, and those before what is newer.
        var hourAgo = Slots.Of(now - TimeSpan.FromHours(1), SlotTier.Coarse);
        while (file.Bytes > maxBytes)
        {
            if (file.Oldest(SlotTier.Fine) is { } fine && fine / Slots.PerCoarse < Math.Min(hourAgo, rolled))
            {
                Drop(SlotTier.Fine, ((fine / Slots.PerCoarse) + 1) * Slots.PerCoarse);
            }
            else if (file.Oldest(SlotTier.Coarse) is { } coarse)
            {
                Forget(coarse + 1);
            }
            else if (file.Oldest(SlotTier.Fine) is { } last && last < Slots.Of(now) - Slots.PerCoarse)
            {
                Drop(SlotTier.Fine, last + 1);
            }
            else
            {
                break;
            }
        }
    }

    private void Forget(long beforeCoarse)
    {
        Drop(SlotTier.Coarse, beforeCoarse);
        _forgotten = Slots.Start(beforeCoarse, SlotTier.Coarse);
    }

    private void Drop(SlotTier tier, long before)
    {
        file.Drop(tier, before);
        foreach (var fold in folds)
        {
            fold.ForgetBefore(tier, before);
        }
    }
}
