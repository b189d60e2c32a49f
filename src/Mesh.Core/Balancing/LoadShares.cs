namespace Mesh.Balancing;

/// <summary>How calls divide among parts that stand one behind the other: each takes what its usable endpoints can carry, the rest flows on. Pure.</summary>
/// <remarks>
/// Envoy's load per priority: a part carries (usable ÷ all) × overprovisioning of the calls, at most all of them, so that with 140 % it takes everything while 72 % of it work.
/// A part that is wholly down gets nothing, which is the failover of gRFC A56.
/// </remarks>
internal static class LoadShares
{
    /// <param name="parts">First in line first.</param>
    /// <param name="overprovisioningPercent">100 or more makes up for what is missing.</param>
    /// <param name="loads">One per part; they add up to 1, or to 0 when nothing is usable.</param>
    /// <returns>False when all together cannot carry the calls: then they share them as far as they can.</returns>
    public static bool Cascade(ReadOnlySpan<PartHealth> parts, int overprovisioningPercent, Span<double> loads)
    {
        var sum = 0.0;
        foreach (var part in parts)
        {
            sum += Carries(part, overprovisioningPercent);
        }

        var left = sum == 0 ? 0 : 1.0;
        for (var i = 0; i < parts.Length; i++)
        {
            loads[i] = Math.Min(left, Carries(parts[i], overprovisioningPercent) / Math.Min(1, sum == 0 ? 1 : sum));
            left -= loads[i];
        }

        return sum >= 1;
    }

    // Divided once, so that 5 of 7 at 140 % are exactly everything.
    private static double Carries(PartHealth part, int overprovisioningPercent) =>
        part.All == 0 ? 0 : Math.Min(1, part.Usable * (double)overprovisioningPercent / (100.0 * part.All));
}

/// <summary>How much of a part works.</summary>
internal readonly record struct PartHealth(int Usable, int All);
