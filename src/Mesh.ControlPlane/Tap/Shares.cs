namespace Mesh.ControlPlane.Tap;

/// <summary>Divides what a tap may show among those who show it, so that the quiet leave their part to the busy. Pure.</summary>
internal static class Shares
{
    /// <summary>Enough for anybody to be seen.</summary>
    public const double Least = 1;

    /// <param name="demands">Per second, as seen last; null: not known yet.</param>
    /// <returns>In the same order; together about <paramref name="total"/>, more only where even <see cref="Least"/> for each is more.</returns>
    public static double[] Divide(double total, IReadOnlyList<double?> demands)
    {
        var shares = new double[demands.Count];
        var (left, open) = (total, demands.Count);
        // The least demanding first: what each does not need is there for those after it.
        foreach (var i in Enumerable.Range(0, demands.Count).OrderBy(i => demands[i] ?? double.MaxValue))
        {
            var equal = left / open;
            // A little more than now, so that it can be seen to grow.
            shares[i] = Math.Max(Least, Math.Min(equal, ((demands[i] ?? double.MaxValue) * 1.5) + Least));
            left = Math.Max(0, left - shares[i]);
            open--;
        }

        // Nobody asks for it now, somebody may in the next second.
        for (var i = 0; i < shares.Length && left > 0; i++)
        {
            shares[i] += left / shares.Length;
        }

        return shares;
    }
}
