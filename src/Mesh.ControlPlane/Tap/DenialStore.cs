using Mesh.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>Requests that servers refused, or would have: one per workload, caller, rule and minute, with the last example (docs/api.md).</summary>
/// <param name="Caller">An identity, or an address.</param>
/// <param name="Audit">Not refused: the rule is only tried.</param>
/// <param name="Rule">Empty: no rule allowed it.</param>
/// <param name="Nearest">The rule that came nearest, and what was missing.</param>
internal sealed record DenialItem(DateTimeOffset At, string Workload, string Namespace, string Caller, string Method, string Path, bool Audit, string Rule, string Nearest, long Count);

/// <summary>The refusals of the last 24 h that were reported to this replica, in memory; the oldest go first. Thread-safe.</summary>
internal sealed class DenialStore(TimeProvider time)
{
    public const int MostItems = 20_000;

    /// <summary>In one answer.</summary>
    public const int MostAnswered = 5_000;

    /// <summary>Of one workload, so that one cannot push out all others.</summary>
    public const int MostOfOne = 2_000;

    public static readonly TimeSpan Kept = TimeSpan.FromHours(24);
    private readonly Lock _lock = new();
    private readonly DateTimeOffset _since = time.GetUtcNow();
    private readonly Dictionary<Key, LinkedListNode<(Key Key, DenialItem Item)>> _items = [];
    private readonly LinkedList<(Key Key, DenialItem Item)> _byAge = new();
    private readonly Dictionary<(string Namespace, string Workload), int> _ofOne = [];

    /// <summary>Before it nothing is known.</summary>
    public DateTimeOffset ReachesBackTo => time.GetUtcNow() - Kept is var oldest && oldest > _since ? oldest : _since;

    public void Add(string workload, string ns, IEnumerable<DenialReport> reports)
    {
        // By our clock: what is newest must come last.
        var now = time.GetUtcNow();
        lock (_lock)
        {
            foreach (var report in reports)
            {
                var key = new Key(ns, workload, report.Caller, report.Rule, report.Audit, now.UtcTicks / TimeSpan.TicksPerMinute);
                var count = report.Count;
                if (_items.TryGetValue(key, out var node))
                {
                    count += node.Value.Item.Count;
                    RemoveLocked(node);
                }
                else if (_ofOne.GetValueOrDefault((ns, workload)) >= MostOfOne)
                {
                    // Its own oldest makes room.
                    RemoveLocked(OldestOfLocked(ns, workload));
                }

                var item = new DenialItem(now, workload, ns, report.Caller, report.Method, report.Path, report.Audit, report.Rule, report.Nearest, count);
                _items[key] = _byAge.AddLast((key, item));
                _ofOne[(ns, workload)] = _ofOne.GetValueOrDefault((ns, workload)) + 1;
            }

            TrimLocked(now);
        }
    }

    /// <summary>Newest first.</summary>
    public IReadOnlyList<DenialItem> Between(DateTimeOffset from, DateTimeOffset to)
    {
        var now = time.GetUtcNow();
        var found = new List<DenialItem>();
        lock (_lock)
        {
            TrimLocked(now);
            for (var node = _byAge.Last; node is not null && node.Value.Item.At >= from; node = node.Previous)
            {
                if (node.Value.Item.At <= to)
                {
                    found.Add(node.Value.Item);
                }
            }
        }

        return found;
    }

    private void TrimLocked(DateTimeOffset now)
    {
        while (_byAge.First is { } oldest && (_byAge.Count > MostItems || oldest.Value.Item.At < now - Kept))
        {
            RemoveLocked(oldest);
        }
    }

    private LinkedListNode<(Key Key, DenialItem Item)> OldestOfLocked(string ns, string workload)
    {
        var node = _byAge.First!;
        while (node.Value.Key.Namespace != ns || node.Value.Key.Workload != workload)
        {
            node = node.Next!;
        }

        return node;
    }

    private void RemoveLocked(LinkedListNode<(Key Key, DenialItem Item)> node)
    {
        var key = node.Value.Key;
        _items.Remove(key);
        _byAge.Remove(node);
        var one = (key.Namespace, key.Workload);
        if (--_ofOne[one] == 0)
        {
            _ofOne.Remove(one);
        }
    }

    private readonly record struct Key(string Namespace, string Workload, string Caller, string Rule, bool Audit, long Minute);
}
