namespace Mesh.ControlPlane.Tap;

/// <summary>Which of the processes that a tap looked at it no longer sees. Not thread-safe: owned by who reads the tap.</summary>
internal sealed class AbsentPlanes
{
    private const int MostNamed = 5;

    // Whoever ended for good never comes back, and is forgotten one day.
    private const int MostAbsent = 1000;

    private readonly HashSet<string> _absent = new(StringComparer.Ordinal);
    private HashSet<string> _seen = new(StringComparer.Ordinal);

    /// <param name="asked">By their node ids, at whatever replica.</param>
    /// <returns>What is to be said of those that left or came back since the last look.</returns>
    public IEnumerable<string> Look(IEnumerable<string> asked)
    {
        var now = asked.ToHashSet(StringComparer.Ordinal);
        List<string> gone = [.. _seen.Where(p => !now.Contains(p)).Order(StringComparer.Ordinal)];
        List<string> back = [.. _absent.Where(now.Contains).Order(StringComparer.Ordinal)];
        _seen = now;
        _absent.ExceptWith(back);
        if (_absent.Count + gone.Count > MostAbsent)
        {
            _absent.Clear();
        }

        _absent.UnionWith(gone.Take(MostAbsent));
        if (gone.Count > 0)
        {
            yield return $"Not seen any more: {Names(gone)}. Ended, without its stream to the control plane, or taps are forbidden there; it is watched again when it attends.";
        }

        if (back.Count > 0)
        {
            yield return $"Seen again: {Names(back)}.";
        }
    }

    private static string Names(List<string> planes) => string.Join(", ", planes.Take(MostNamed)) + (planes.Count > MostNamed ? $" and {planes.Count - MostNamed} more" : string.Empty);
}
