namespace Mesh.ControlPlane.Telemetry;

/// <summary>The last 15 minutes in slots of 5 s, beside the sum since start. Not thread-safe: owned by the store's lock.</summary>
internal sealed class Ring<T>
    where T : class, new()
{
    public const int Slots = 180;

    public static readonly TimeSpan SlotLength = TimeSpan.FromSeconds(5);

    private readonly (long Slot, T? Value)[] _slots = new (long, T?)[Slots];

    public T Total { get; } = new();

    public static long SlotOf(DateTimeOffset now) => now.UtcTicks / SlotLength.Ticks;

    public T At(long slot)
    {
        ref var entry = ref _slots[slot % Slots];
        if (entry.Slot != slot || entry.Value is null)
        {
            entry = (slot, new T());
        }

        return entry.Value!;
    }

    /// <summary>The slots after <paramref name="afterSlot"/>.</summary>
    public IEnumerable<T> Since(long afterSlot)
    {
        foreach (var (slot, value) in _slots)
        {
            if (value is not null && slot > afterSlot)
            {
                yield return value;
            }
        }
    }
}
