namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which process of which workload reports.</summary>
internal readonly record struct ReportingInstance(string Peer, string Instance);

/// <summary>How many connections are open by the last word of each process that carries them; nothing of it is kept. Bounded, and shared among who reports. Thread-safe.</summary>
/// <remarks>
/// A process tells all its gauges at once, under one time: what the newest of its rounds does not name is closed. One that is lost, or silent for <see cref="Fresh"/>, has none any more.
/// </remarks>
internal sealed class OpenConnections
{
    public const int MaxEntries = 50_000;

    public const int MaxInstances = 20_000;

    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<ReportingInstance, Round> _rounds = [];
    private readonly Holdings<string> _processes = new();
    private readonly Holdings<string> _entries = new();
    private DateTimeOffset _swept = DateTimeOffset.MinValue;
    private int _count;

    /// <summary>A gauge of any name was told.</summary>
    /// <param name="round">By the clock of who tells.</param>
    public void Heard(ReportingInstance from, ulong round, DateTimeOffset now)
    {
        lock (_lock)
        {
            HeardLocked(from, round, now);
        }
    }

    /// <param name="key">Of the kind of connections that ended, <see cref="SeriesKind.ClientConnection"/> or <see cref="SeriesKind.ServerConnection"/>.</param>
    public void Set(ReportingInstance from, ulong round, in SeriesKey key, long open, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (HeardLocked(from, round, now) is not { } told || open <= 0)
            {
                return;
            }

            if (!told.Open.TryGetValue(key, out var known))
            {
                if (_count >= MaxEntries && !GiveUpLocked(from.Peer))
                {
                    return;
                }

                _count++;
                _entries.Add(from.Peer);
            }

            // In mesh TLS and in plaintext are told apart by who counts, and are one here.
            told.Open[key] = known + open;
        }
    }

    /// <summary>It ended, or its connection did.</summary>
    public void Forget(ReportingInstance from)
    {
        lock (_lock)
        {
            ForgetLocked(from);
        }
    }

    public IReadOnlyList<(SeriesKey Key, long Open)> All(DateTimeOffset now)
    {
        lock (_lock)
        {
            return [.. _rounds.Values.Where(r => now - r.At <= Fresh).SelectMany(r => r.Open).Select(o => (o.Key, o.Value))];
        }
    }

    /// <returns>Null: there is no place for one more.</returns>
    private Round? HeardLocked(ReportingInstance from, ulong round, DateTimeOffset now)
    {
        if (!_rounds.TryGetValue(from, out var told))
        {
            if (!MakeRoomLocked(from.Peer, now))
            {
                return null;
            }

            _rounds[from] = told = new Round();
            _processes.Add(from.Peer);
        }

        if (told.Time != round)
        {
            ClearLocked(from, told);
        }

        (told.Time, told.At) = (round, now);
        return told;
    }

    /// <summary>Who is silent makes room, else one process of the identity that has most.</summary>
    private bool MakeRoomLocked(string newcomer, DateTimeOffset now)
    {
        // Whoever has ever new names makes nobody look through all of them each time.
        if (now - _swept >= TimeSpan.FromSeconds(1) || _swept > now)
        {
            _swept = now;
            foreach (var silent in _rounds.Where(r => now - r.Value.At > Fresh).Select(r => r.Key).ToList())
            {
                ForgetLocked(silent);
            }
        }

        if (_rounds.Count >= MaxInstances && _processes.TryFindRicher(newcomer, out var richest))
        {
            ForgetLocked(_rounds.Where(r => r.Key.Peer == richest).MinBy(r => r.Value.At).Key);
        }

        return _rounds.Count < MaxInstances;
    }

    private void ForgetLocked(ReportingInstance from)
    {
        if (_rounds.Remove(from, out var gone))
        {
            ClearLocked(from, gone);
            _processes.Remove(from.Peer);
        }
    }

    private void ClearLocked(ReportingInstance from, Round told)
    {
        _count -= told.Open.Count;
        _entries.Remove(from.Peer, told.Open.Count);
        told.Open.Clear();
    }

    /// <summary>One entry of the identity that has most of them; false: nobody has that much more.</summary>
    private bool GiveUpLocked(string newcomer)
    {
        if (!_entries.TryFindRicher(newcomer, out var richest))
        {
            return false;
        }

        var rich = _rounds.First(r => r.Key.Peer == richest && r.Value.Open.Count > 0).Value;
        rich.Open.Remove(rich.Open.Keys.First());
        _entries.Remove(richest);
        _count--;
        return true;
    }

    private sealed class Round
    {
        public ulong Time { get; set; }

        public DateTimeOffset At { get; set; }

        public Dictionary<SeriesKey, long> Open { get; } = [];
    }
}
