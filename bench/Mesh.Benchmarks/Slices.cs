namespace Mesh.Benchmarks;

/// <summary>What one slice of calls took.</summary>
/// <param name="Bytes">Per call; null where it holds what is not part of every slice.</param>
internal readonly record struct Slice(double CpuMicroseconds, double? Bytes);

/// <summary>Ratios of slices that were measured near each other, and how sure they are. Pure.</summary>
internal static class Slices
{
    private const int Resamples = 2000;

    /// <summary>Of the sorted values, how many are left out at each end: what else the machine did meanwhile is in them.</summary>
    private const double Trim = 0.2;

    /// <param name="epochs">Ratios by epoch. Processes, connections and memory are made anew with each: what differs by that alone is part of the interval, because epochs are drawn first, then ratios in them.</param>
    /// <returns>The trimmed mean, and the ends of its 95 % bootstrap interval.</returns>
    public static (double Ratio, double Low, double High) Estimate(IReadOnlyList<double[]> epochs, Random chance)
    {
        var drawn = new double[Resamples];
        for (var i = 0; i < Resamples; i++)
        {
            drawn[i] = Mean([.. Enumerable.Range(0, epochs.Count).SelectMany(_ => Draw(epochs[chance.Next(epochs.Count)], chance))]);
        }

        Array.Sort(drawn);
        return (Mean([.. epochs.SelectMany(e => e)]), drawn[(int)(Resamples * 0.025)], drawn[(int)(Resamples * 0.975)]);
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : sorted[sorted.Length / 2];
    }

    private static double Mean(double[] values)
    {
        Array.Sort(values);
        var cut = (int)(values.Length * Trim);
        return values.AsSpan(cut, values.Length - (2 * cut)).ToArray().Average();
    }

    private static double[] Draw(double[] from, Random chance)
    {
        var drawn = new double[from.Length];
        for (var i = 0; i < drawn.Length; i++)
        {
            drawn[i] = from[chance.Next(from.Length)];
        }

        return drawn;
    }
}
