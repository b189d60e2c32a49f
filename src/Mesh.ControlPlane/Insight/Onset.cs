namespace Mesh.ControlPlane.Insight;

/// <summary>Finds when something began that goes on still, or went on last. Pure.</summary>
internal static class Onset
{
    /// <summary>A pause of so many points is still the same trouble: few calls make a rate jump.</summary>
    private const int Pause = 3;

    /// <summary>The first point of the last run of bad ones; null when there is none.</summary>
    /// <param name="isBad">Of each point, oldest first; null where nothing was measured.</param>
    /// <param name="evenIfOver">Of what is past it does not matter that it ended.</param>
    public static int? Find(IReadOnlyList<bool?> isBad, bool evenIfOver = false)
    {
        int? first = null;
        var good = 0;
        for (var i = isBad.Count - 1; i >= 0; i--)
        {
            switch (isBad[i])
            {
                case true:
                    (first, good) = (i, 0);
                    break;
                case false when (first is not null || !evenIfOver) && ++good > Pause:
                    return first;
                default:
                    break;
            }
        }

        return first;
    }
}
