namespace Mesh.ControlPlane.Telemetry;

/// <summary>Times for which somebody's numbers are known to be missing. Bounded: the oldest of the namespace that has most go first. Thread-safe.</summary>
internal sealed class GapLog(IEnumerable<MissingTime> saved)
{
    public const int MaxGaps = 1_000;

    private readonly Lock _lock = new();
    private readonly List<MissingTime> _gaps = [.. saved];
    private bool _changed;

    public void Add(MissingTime gap)
    {
        lock (_lock)
        {
            _gaps.Add(gap);
            if (_gaps.Count > MaxGaps)
            {
                // Only a namespace is vouched for: names of workloads are theirs to choose.
                var loudest = _gaps.CountBy(NamespaceOf).MaxBy(c => c.Value).Key;
                _gaps.RemoveAt(_gaps.FindIndex(g => NamespaceOf(g) == loudest));
            }

            _changed = true;
        }
    }

    private static string NamespaceOf(MissingTime gap) => gap.Who[(gap.Who.LastIndexOf('@') + 1)..];

    /// <summary>What was missing came after all.</summary>
    public void Remove(MissingTime gap)
    {
        lock (_lock)
        {
            _changed |= _gaps.Remove(gap);
        }
    }

    public IReadOnlyList<MissingTime> Between(DateTimeOffset from, DateTimeOffset to)
    {
        lock (_lock)
        {
            return [.. _gaps.Where(g => g.To >= from && g.From < to)];
        }
    }

    /// <summary>All, when any is new since this was last asked; else null.</summary>
    public IReadOnlyList<MissingTime>? TakeChanged(DateTimeOffset endedBefore)
    {
        lock (_lock)
        {
            _changed |= _gaps.RemoveAll(g => g.To < endedBefore) > 0;
            var changed = _changed;
            _changed = false;
            return changed ? [.. _gaps] : null;
        }
    }
}
