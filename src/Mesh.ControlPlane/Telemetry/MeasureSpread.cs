namespace Mesh.ControlPlane.Telemetry;

/// <summary>What one slot gets of a report.</summary>
internal readonly record struct SlotShare(long Slot, long Count, BucketCounts? Durations);

/// <summary>A report lies in the slots of the time that it is about, by how much of it is in each.</summary>
internal static class MeasureSpread
{
    public static IEnumerable<SlotShare> Over(DateTimeOffset from, DateTimeOffset now, Measure measure)
    {
        // What ends with a slot says nothing of the next one.
        var last = Slots.AtOrAfter(now) - 1;
        var first = Math.Min(Slots.Of(from), last);
        if (first == last)
        {
            return [new SlotShare(first, measure.Count, measure.Durations)];
        }

        var spread = new Spread(Shares(first, last, from, now));
        return measure.Durations is null
            ? spread.Divide(measure.Count).Select((count, i) => new SlotShare(first + i, count, null))
            : Divide(measure.Durations, spread, (int)(last - first + 1)).Select((durations, i) => new SlotShare(first + i, durations.Total, durations));
    }

    private static double[] Shares(long first, long last, DateTimeOffset from, DateTimeOffset now)
    {
        var shares = new double[last - first + 1];
        for (var i = 0; i < shares.Length; i++)
        {
            var (start, end) = (Slots.Start(first + i), Slots.Start(first + i + 1));
            shares[i] = ((end < now ? end : now) - (start > from ? start : from)) / (now - from);
        }

        return shares;
    }

    private static BucketCounts[] Divide(BucketCounts durations, Spread spread, int slots)
    {
        var divided = new BucketCounts[slots];
        for (var i = 0; i < slots; i++)
        {
            divided[i] = new BucketCounts();
        }

        for (var b = 0; b < durations.Counts.Length; b++)
        {
            if (durations.Counts[b] > 0)
            {
                var parts = spread.Divide(durations.Counts[b]);
                for (var i = 0; i < slots; i++)
                {
                    divided[i].Add(durations.Offset + b, parts[i]);
                }
            }
        }

        return divided;
    }
}
