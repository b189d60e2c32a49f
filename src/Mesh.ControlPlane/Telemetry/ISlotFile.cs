namespace Mesh.ControlPlane.Telemetry;

/// <summary>Part of what was counted in one slot: a slot is the sum of its parts.</summary>
internal readonly record struct SlotPart(SlotTier Tier, long Slot, byte[] Bytes);

/// <summary>A series as it is kept.</summary>
/// <param name="Seen">When it last counted, to the hour.</param>
internal readonly record struct SavedSeries(int Id, SeriesKey Key, DateTimeOffset Seen);

/// <summary>What is written at once: all of it or nothing.</summary>
internal sealed record SlotBatch(IReadOnlyList<SlotPart> Parts)
{
    /// <summary>New ones, and those seen again after an hour.</summary>
    public IReadOnlyList<SavedSeries> Series { get; init; } = [];

    public IReadOnlyList<int> GoneSeries { get; init; } = [];

    public IReadOnlyList<Caller> Reporters { get; init; } = [];

    /// <summary>All there are; null: none is new.</summary>
    public IReadOnlyList<MissingTime>? Gaps { get; init; }

    /// <summary>The first coarse slot that was not yet summed up; null: unchanged.</summary>
    public long? Rolled { get; init; }

    /// <summary>Up to when all that came is in it; null: unchanged.</summary>
    public DateTimeOffset? At { get; init; }

    /// <summary>It is the last one of this process.</summary>
    public bool IsLast { get; init; }
}

/// <summary>What an earlier process left.</summary>
/// <param name="BrokenOffAt">Up to when it wrote, where it wrote no last time; null: it ended well.</param>
internal sealed record SavedState(IReadOnlyList<SavedSeries> Series, IReadOnlyList<Caller> Reporters, IReadOnlyList<MissingTime> Gaps, long Rolled, DateTimeOffset? BrokenOffAt)
{
    public static readonly SavedState Empty = new([], [], [], 0, null);
}

/// <summary>Keeps slots. Not thread-safe: owned by the store's lock of files.</summary>
internal interface ISlotFile : IDisposable
{
    /// <summary><c>disk</c> or <c>memory</c>.</summary>
    string Kind { get; }

    /// <summary>What it takes of its place.</summary>
    long Bytes { get; }

    /// <summary>How often something was lost, or could not be read, that was kept before; what <see cref="Drop"/> takes is not.</summary>
    long Losses { get; }

    SavedState Load();

    void Write(SlotBatch batch);

    /// <summary>All parts of the slots in [from, to).</summary>
    IEnumerable<SlotPart> Read(SlotTier tier, long from, long to);

    /// <summary>The first slot of which there is anything.</summary>
    long? Oldest(SlotTier tier);

    /// <summary>Forgets the slots before.</summary>
    void Drop(SlotTier tier, long before);
}
