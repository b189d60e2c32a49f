using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which messages of each workload's run were taken: one that comes again, because its answer got lost, is not counted again. Bounded. Thread-safe.</summary>
/// <remarks>A workload has one message on its way at a time and numbers them, so the last number of a run says it all. Who does not number its messages is believed each time.</remarks>
internal sealed class TakenReports(TimeProvider time)
{
    public const int MaxRuns = 20_000;

    /// <summary>Longer than a workload keeps what it could not send (10 min).</summary>
    public static readonly TimeSpan Kept = TimeSpan.FromMinutes(15);

    private readonly Lock _lock = new();
    private readonly Dictionary<(SpiffeId Peer, string Run), (long Number, DateTimeOffset At)> _runs = [];
    private readonly Holdings<SpiffeId> _holdings = new();
    private DateTimeOffset _swept = DateTimeOffset.MinValue;
    private long _repeated;

    /// <summary>Runs that are remembered.</summary>
    public int Runs
    {
        get
        {
            lock (_lock)
            {
                return _runs.Count;
            }
        }
    }

    /// <summary>Messages that came again.</summary>
    public long Repeated => Interlocked.Read(ref _repeated);

    /// <summary>True the first time.</summary>
    public bool TryTake(SpiffeId peer, ReportNote note)
    {
        if (note.Run.Length == 0 || note.Number <= 0)
        {
            return true;
        }

        var (key, now) = ((peer, note.Run), time.GetUtcNow());
        lock (_lock)
        {
            if (_runs.TryGetValue(key, out var known))
            {
                _runs[key] = (Math.Max(known.Number, note.Number), now);
                if (note.Number <= known.Number)
                {
                    Interlocked.Increment(ref _repeated);
                    return false;
                }
            }
            else if (_runs.Count < MaxRuns || MakeRoomLocked(now, peer))
            {
                _runs.Add(key, (note.Number, now));
                _holdings.Add(peer);
            }
        }

        return true;
    }

    /// <summary>Runs that are over make room, else one of the identity that has most of them. Who has most is believed each time.</summary>
    private bool MakeRoomLocked(DateTimeOffset now, SpiffeId newcomer)
    {
        // Whoever sends ever new runs makes nobody look through all of them each time.
        if (now - _swept >= Slots.Fine)
        {
            _swept = now;
            foreach (var (run, last) in _runs)
            {
                if (now - last.At >= Kept)
                {
                    RemoveLocked(run);
                }
            }
        }

        if (_runs.Count >= MaxRuns && _holdings.TryFindRicher(newcomer, out var richest))
        {
            RemoveLocked(_runs.Where(r => r.Key.Peer == richest).MinBy(r => r.Value.At).Key);
        }

        return _runs.Count < MaxRuns;
    }

    private void RemoveLocked((SpiffeId Peer, string Run) run)
    {
        if (_runs.Remove(run))
        {
            _holdings.Remove(run.Peer);
        }
    }
}
