namespace Mesh.ControlPlane.Telemetry;

/// <summary>Which process of which workload reports.</summary>
internal readonly record struct ReportingInstance(string Peer, string Instance);

/// <summary>How many connections are open by the last word of each process that carries them; nothing of it is kept. Bounded. Thread-safe.</summary>
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
    private readonly Holdings<string> _holdings = new();
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
            if (HeardLocked(from, round, now) is not { } told || open <= 0 || _count >= MaxEntries)
            {
                return;
            }

            // In mesh TLS and in plaintext are told apart by who counts, and are one here.
            _count += told.Open.TryAdd(key, 0) ? 1 : 0;
            told.Open[key] += open;
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
            _holdings.Add(from.Peer);
        }

        if (told.Time != round)
        {
            _count -= told.Open.Count;
            told.Open.Clear();
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

        if (_rounds.Count >= MaxInstances && _holdings.TryFindRicher(newcomer, out var richest))
        {
            ForgetLocked(_rounds.Where(r => r.Key.Peer == richest).MinBy(r => r.Value.At).Key);
        }

        return _rounds.Count < MaxInstances;
    }

    private void ForgetLocked(ReportingInstance from)
    {
        if (_rounds.Remove(from, out var gone))
        {
            _count -= gone.Open.Count;
            _holdings.Remove(from.Peer);
        }
    }

    private sealed class Round
    {
        public ulong Time { get; set; }

        public DateTimeOffset At { get; set; }

        public Dictionary<SeriesKey, long> Open { get; } = [];
    }
}
