using Mesh.Outbound;

namespace Mesh.Testing.Simulation;

/// <summary>How the calls of one run ended.</summary>
internal sealed class Calls
{
    private readonly List<Call> _all = [];

    public IReadOnlyList<Call> All => _all;

    public int Count => _all.Count;

    public int Succeeded => _all.Count(static c => c.Ended == CallEnd.Good);

    public int Failed => _all.Count(static c => c.Ended is CallEnd.Bad or CallEnd.Threw);

    /// <summary>Answered by the mesh itself, for this reason.</summary>
    public int Refused(MeshErrorCode why) => _all.Count(c => c.MeshError == why.ToString());

    public int Cancelled => _all.Count(static c => c.Ended == CallEnd.Cancelled);

    public void Add(Call call) => _all.Add(call);

    /// <summary>Those that began in a span of virtual time, seconds from the start.</summary>
    public Calls Between(double from, double to)
    {
        var some = new Calls();
        some._all.AddRange(_all.Where(c => c.Start.TotalSeconds >= from && c.Start.TotalSeconds < to));
        return some;
    }

    /// <summary>Milliseconds; of the good ones, by nearest rank.</summary>
    public double Percentile(double percent)
    {
        double[] sorted = [.. _all.Where(static c => c.Ended == CallEnd.Good).Select(static c => c.Duration.TotalMilliseconds).Order()];
        return sorted.Length == 0 ? double.NaN : sorted[Math.Clamp((int)Math.Ceiling(percent / 100 * sorted.Length) - 1, 0, sorted.Length - 1)];
    }

    public double P50 => Percentile(50);

    public double P99 => Percentile(99);
}

/// <param name="Start">Since the simulation began.</param>
/// <param name="Status">0 when there was no answer.</param>
/// <param name="MeshError">Why the mesh itself answered; null when a server did.</param>
internal readonly record struct Call(TimeSpan Start, TimeSpan Duration, CallEnd Ended, int Status, string? MeshError);

internal enum CallEnd
{
    /// <summary>Below 400, to the last byte.</summary>
    Good,

    /// <summary>400 or more.</summary>
    Bad,

    /// <summary>No answer, or half of one.</summary>
    Threw,

    /// <summary>The caller gave up.</summary>
    Cancelled,
}
