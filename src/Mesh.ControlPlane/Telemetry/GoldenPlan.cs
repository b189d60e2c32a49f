namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which slots a question is about.</summary>
/// <param name="FromSlot">The first fine slot.</param>
/// <param name="ToSlot">The first fine slot after.</param>
/// <param name="StepSlots">Fine slots in one step; null: all together.</param>
internal sealed record GoldenPlan(long FromSlot, long ToSlot, long? StepSlots)
{
    public DateTimeOffset From => Slots.Start(FromSlot);

    public DateTimeOffset To => Slots.Start(ToSlot);

    /// <summary>How finely it is answered.</summary>
    public TimeSpan Step { get; private init; } = Slots.Fine;

    public int Steps => StepSlots is { } step ? (int)((ToSlot - FromSlot + step - 1) / step) : 1;

    /// <param name="step">Null: all together.</param>
    /// <param name="fineFrom">How far back fine slots are kept.</param>
    public static GoldenPlan Of(DateTimeOffset from, DateTimeOffset to, TimeSpan? step, DateTimeOffset fineFrom)
    {
        var coarse = from < fineFrom;
        var smallest = coarse ? Slots.PerCoarse : 1;
        var stepSlots = step is { } length ? RoundUp(Math.Max(1, (long)Math.Ceiling(length / Slots.Fine)), smallest) : (long?)null;
        var first = RoundDown(Slots.Of(from), stepSlots ?? smallest);
        var last = Math.Max(first + 1, Slots.AtOrAfter(to));
        return new GoldenPlan(first, to < fineFrom ? RoundUp(last, Slots.PerCoarse) : last, stepSlots) { Step = stepSlots is { } s ? s * Slots.Fine : smallest * Slots.Fine };
    }

    /// <summary>The step that a fine slot lies in.</summary>
    public int StepOf(long slot) => StepSlots is { } step ? (int)((slot - FromSlot) / step) : 0;

    private static long RoundDown(long value, long to) => value / to * to;

    private static long RoundUp(long value, long to) => (value + to - 1) / to * to;
}
