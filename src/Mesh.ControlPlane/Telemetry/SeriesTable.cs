using System.Collections.Concurrent;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>One series that is known.</summary>
internal sealed class KnownSeries(int id, SeriesKey key, DateTimeOffset seen)
{
    public int Id => id;

    public SeriesKey Key => key;

    /// <summary>All since the start of this process. Guarded by the store's lock.</summary>
    public SeriesCounts Totals { get; } = new();

    /// <summary>Since when it counts; of one that an earlier process left: longer than it matters. Guarded by the store's lock.</summary>
    public DateTimeOffset First { get; set; } = DateTimeOffset.MinValue;

    /// <summary>When it last counted. Guarded by the store's lock.</summary>
    public DateTimeOffset Seen { get; set; } = seen;

    /// <summary>Who told of it first since the start of this process; null: nobody. Guarded by the store's lock.</summary>
    public SpiffeId? Owner { get; set; }

    /// <summary>What the file says of <see cref="Seen"/>.</summary>
    public DateTimeOffset SavedSeen { get; set; } = DateTimeOffset.MinValue;
}

/// <summary>Which series there are, bounded. Changed under the store's lock; read by number without.</summary>
/// <remarks>When it is full, what was silent longest makes room, else one of the identity that has most of them. What finds no place, or gives its own, is counted.</remarks>
internal sealed class SeriesTable(int max)
{
    /// <summary>Who is silent for so long may be forgotten for another.</summary>
    public static readonly TimeSpan Idle = TimeSpan.FromMinutes(10);

    private const int MostRemembered = 100_000;
    private readonly Dictionary<SeriesKey, KnownSeries> _byKey = [];
    private readonly ConcurrentDictionary<int, KnownSeries> _byId = new();
    private readonly HashSet<int> _overflowed = [];
    private readonly List<int> _gone = [];
    private readonly Holdings<SpiffeId> _holdings = new();
    private DateTimeOffset _swept = DateTimeOffset.MinValue;
    private int _nextId = 1;
    private int _removals;

    public int Count => _byId.Count;

    public int Max => max;

    /// <summary>Series that found no place or had to give it, by the hash of their names.</summary>
    public int Overflowed => _overflowed.Count;

    /// <summary>How often a series was forgotten. May be read without the lock.</summary>
    public int Removals => Volatile.Read(ref _removals);

    public IReadOnlyCollection<KnownSeries> All => _byKey.Values;

    public KnownSeries? ById(int id) => _byId.GetValueOrDefault(id);

    public void Restore(IEnumerable<SavedSeries> saved)
    {
        foreach (var one in saved.OrderBy(s => s.Id))
        {
            Put(new KnownSeries(one.Id, one.Key, one.Seen) { SavedSeen = one.Seen });
        }
    }

    /// <summary>The series with this key, made when it is new; null when there is no place.</summary>
    /// <param name="owner">Who tells of it; null: it takes no place of anybody's.</param>
    public KnownSeries? Get(SeriesKey key, DateTimeOffset now, SpiffeId? owner = null)
    {
        if (!_byKey.TryGetValue(key, out var series))
        {
            if (_byKey.Count >= max && !MakeRoom(now, owner))
            {
                Overflow(key);
                return null;
            }

            series = new KnownSeries(_nextId, key, now) { First = now };
            Put(series);
        }

        if (series.Owner is null && owner is not null)
        {
            series.Owner = owner;
            _holdings.Add(owner);
        }

        series.Seen = now;
        return series;
    }

    /// <summary>Forgets what nothing is kept of any more.</summary>
    public void Forget(DateTimeOffset seenBefore)
    {
        foreach (var series in _byKey.Values.Where(s => s.Seen < seenBefore).ToList())
        {
            Remove(series);
        }
    }

    /// <summary>The numbers of what was forgotten since this was last asked.</summary>
    public IReadOnlyList<int> TakeGone()
    {
        int[] gone = [.. _gone];
        _gone.Clear();
        return gone;
    }

    private bool MakeRoom(DateTimeOffset now, SpiffeId? newcomer)
    {
        // Whoever sends ever new names makes nobody look through all of them each time.
        if (now - _swept >= Slots.Fine || _swept > now)
        {
            _swept = now;
            foreach (var series in _byKey.Values.Where(s => s.Seen < now - Idle).OrderBy(s => s.Seen).Take(Math.Max(1, max / 20)).ToList())
            {
                Remove(series);
            }
        }

        if (_byKey.Count >= max && newcomer is not null && _holdings.TryFindRicher(newcomer, out var richest))
        {
            var silent = _byKey.Values.Where(s => s.Owner == richest).MinBy(s => s.Seen)!;
            Remove(silent);
            Overflow(silent.Key);
        }

        return _byKey.Count < max;
    }

    private void Overflow(in SeriesKey key)
    {
        if (_overflowed.Count < MostRemembered)
        {
            _overflowed.Add(key.GetHashCode());
        }
    }

    private void Put(KnownSeries series)
    {
        _byKey[series.Key] = series;
        _byId[series.Id] = series;
        _nextId = Math.Max(_nextId, series.Id + 1);
    }

    private void Remove(KnownSeries series)
    {
        _byKey.Remove(series.Key);
        _byId.TryRemove(series.Id, out _);
        _gone.Add(series.Id);
        Interlocked.Increment(ref _removals);
        if (series.Owner is { } owner)
        {
            _holdings.Remove(owner);
        }
    }
}
