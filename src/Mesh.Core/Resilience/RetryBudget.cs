using Mesh.Config;

namespace Mesh.Resilience;

/// <summary>Keeps retries and hedges from multiplying an overload: within 10 s at most a share of the calls, plus some a second, are tried again. Thread-safe without a lock.</summary>
internal sealed class RetryBudget(TimeProvider time)
{
    private const int WindowSeconds = 10;

    // A slot per second; the second it belongs to is in it, so that an old one is seen as empty.
    private readonly Slot[] _slots = CreateSlots();
    private volatile RetryBudgetSize _size = RetryBudgetSize.Default;

    /// <summary>May change at any time: what was counted stays.</summary>
    public RetryBudgetSize Size
    {
        get => _size;
        set => _size = value;
    }

    /// <summary>A call began.</summary>
    public void CountCall(long now) => Interlocked.Increment(ref Current(now).Calls);

    /// <summary>Takes one retry out of the budget; false when there is none left.</summary>
    public bool TryTake(long now)
    {
        var current = Current(now);
        long calls = 0;
        long retries = 0;
        foreach (var slot in _slots)
        {
            if (Second(now) - Volatile.Read(ref slot.Second) < WindowSeconds)
            {
                calls += Volatile.Read(ref slot.Calls);
                retries += Volatile.Read(ref slot.Retries);
            }
        }

        var size = _size;
        if (retries + 1 > (calls * size.Percent / 100) + ((long)size.MinPerSecond * WindowSeconds))
        {
            return false;
        }

        Interlocked.Increment(ref current.Retries);
        return true;
    }

    private long Second(long now) => now / time.TimestampFrequency;

    private Slot Current(long now)
    {
        var second = Second(now);
        var slot = _slots[(int)((ulong)second % WindowSeconds)];
        var held = Volatile.Read(ref slot.Second);
        if (held != second && Interlocked.CompareExchange(ref slot.Second, second, held) == held)
        {
            // A call counted between the two writes is lost: one in a second at most.
            Volatile.Write(ref slot.Calls, 0);
            Volatile.Write(ref slot.Retries, 0);
        }

        return slot;
    }

    private static Slot[] CreateSlots()
    {
        var slots = new Slot[WindowSeconds];
        for (var i = 0; i < slots.Length; i++)
        {
            slots[i] = new Slot();
        }

        return slots;
    }

    private sealed class Slot
    {
        public long Second = -WindowSeconds;
        public long Calls;
        public long Retries;
    }
}
