namespace Mesh.ControlPlane.Telemetry;

/// <summary>How fine time is kept.</summary>
internal enum SlotTier
{
    /// <summary>10 s.</summary>
    Fine = 0,

    /// <summary>5 min.</summary>
    Coarse = 1,
}

/// <summary>Slots of time: numbered since the year 1, in UTC, so that all replicas and files mean the same.</summary>
internal static class Slots
{
    public static readonly TimeSpan Fine = TimeSpan.FromSeconds(10);

    public static readonly TimeSpan Coarse = TimeSpan.FromMinutes(5);

    /// <summary>Fine slots in a coarse one.</summary>
    public const int PerCoarse = 30;

    public static TimeSpan Length(SlotTier tier) => tier == SlotTier.Fine ? Fine : Coarse;

    public static long Of(DateTimeOffset time, SlotTier tier = SlotTier.Fine) => time.UtcTicks / Length(tier).Ticks;

    /// <summary>The first slot that does not begin before.</summary>
    public static long AtOrAfter(DateTimeOffset time, SlotTier tier = SlotTier.Fine) => Of(time + Length(tier) - TimeSpan.FromTicks(1), tier);

    public static DateTimeOffset Start(long slot, SlotTier tier = SlotTier.Fine) => new(slot * Length(tier).Ticks, TimeSpan.Zero);
}
