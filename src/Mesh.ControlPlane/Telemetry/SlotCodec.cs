namespace Mesh.ControlPlane.Telemetry;

/// <summary>All that was counted in one slot, as few bytes: per series its number, its length, its counts and the buckets that are not empty, all as variable-length integers.</summary>
internal static class SlotCodec
{
    public static byte[] Encode(IReadOnlyDictionary<int, SeriesCounts> slot)
    {
        var all = new ByteWriter();
        var one = new ByteWriter();
        var last = 0;
        foreach (var (id, counts) in slot.OrderBy(s => s.Key))
        {
            one.Clear();
            one.Write(counts.Good);
            one.Write(counts.Bad);
            one.Write(counts.Cancelled);
            one.Write(counts.Tls);
            Write(one, counts.Durations);
            all.Write(id - last);
            all.Write(one.Length);
            all.Write(one.Written);
            last = id;
        }

        return all.Written.ToArray();
    }

    public static void Write(ByteWriter to, BucketCounts buckets)
    {
        var gap = buckets.Offset - BucketCounts.Lowest;
        foreach (var count in buckets.Counts)
        {
            if (count > 0)
            {
                to.Write(gap);
                to.Write(count);
                gap = 0;
            }

            gap++;
        }
    }

    /// <summary>Adds what a part holds, for the series that are wanted.</summary>
    /// <param name="into">Where a series' counts go; null: it is not wanted.</param>
    /// <exception cref="InvalidDataException">It is no part of a slot.</exception>
    public static void Decode(ReadOnlySpan<byte> part, Func<int, SeriesCounts?> into)
    {
        var reader = new ByteReader(part);
        long id = 0;
        while (!reader.IsAtEnd)
        {
            id += reader.Read();
            var one = new ByteReader(reader.Take(reader.Read()));
            if (id > int.MaxValue || into((int)id) is not { } counts)
            {
                continue;
            }

            counts.Good += one.Read();
            counts.Bad += one.Read();
            counts.Cancelled += one.Read();
            counts.Tls += one.Read();
            Read(ref one, counts.Durations);
        }
    }

    public static void Read(ref ByteReader from, BucketCounts into)
    {
        long bucket = BucketCounts.Lowest;
        while (!from.IsAtEnd)
        {
            bucket += from.Read();
            into.Add((int)Math.Min(bucket, int.MaxValue), from.Read());
        }
    }
}
