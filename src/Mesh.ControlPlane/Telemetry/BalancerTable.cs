using Mesh.Spiffe;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>What a balancer's gauges tell of one endpoint.</summary>
internal enum BalancerGauge
{
    State,
    Active,
    Ewma,
    Weight,
    EjectedUntil,
}

/// <summary>Whose view of which endpoint.</summary>
internal readonly record struct BalancerKey(string Source, string SourceNamespace, string Instance, string Service, string Namespace, string Endpoint);

/// <summary>The callers' balancers as they last told of themselves. Bounded, and shared among who reports; nothing of it is kept. Thread-safe.</summary>
internal sealed class BalancerTable
{
    public const int MaxEntries = 50_000;

    /// <summary>What was not told again for so long is over.</summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<BalancerKey, Entry> _entries = [];
    private readonly Holdings<SpiffeId> _holdings = new();
    private DateTimeOffset _swept;

    /// <param name="peer">Who tells it, as was proved.</param>
    /// <param name="text">The state's word, of the gauge of states.</param>
    /// <param name="why">Why it sits out; null where it does not.</param>
    public void Set(SpiffeId peer, in BalancerKey key, BalancerGauge gauge, double value, string text, string? why, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out var entry))
            {
                if (!MakeRoomLocked(peer, now))
                {
                    return;
                }

                _entries[key] = entry = new Entry(peer);
                _holdings.Add(peer);
            }

            entry.At = now;
            switch (gauge)
            {
                case BalancerGauge.State: (entry.State, entry.Why) = (text, why); break;
                case BalancerGauge.Active: entry.Active = (long)value; break;
                case BalancerGauge.Ewma: entry.EwmaMs = value * 1000; break;
                case BalancerGauge.Weight: entry.Weight = value; break;
                default: entry.EjectedUntil = value is > 0 and < 253_402_300_799 ? DateTimeOffset.FromUnixTimeMilliseconds((long)(value * 1000)) : null; break;
            }
        }
    }

    public IReadOnlyList<BalancerState> Of(string service, string @namespace, DateTimeOffset now)
    {
        lock (_lock)
        {
            return
            [
                .. _entries.Where(e => e.Key.Service == service && e.Key.Namespace == @namespace && IsTold(e.Value, now))
                    .OrderBy(e => e.Key.Endpoint, StringComparer.Ordinal).ThenBy(e => e.Key.SourceNamespace, StringComparer.Ordinal).ThenBy(e => e.Key.Instance, StringComparer.Ordinal)
                    .Select(e => StateOf(e.Key, e.Value, now)),
            ];
        }
    }

    /// <summary>Of all Services.</summary>
    public IReadOnlyList<(string Service, string Namespace, BalancerState State)> All(DateTimeOffset now)
    {
        lock (_lock)
        {
            return [.. _entries.Where(e => IsTold(e.Value, now)).Select(e => (e.Key.Service, e.Key.Namespace, StateOf(e.Key, e.Value, now)))];
        }
    }

    private static bool IsTold(Entry entry, DateTimeOffset now) => entry.State.Length > 0 && now - entry.At <= Fresh;

    private static BalancerState StateOf(in BalancerKey key, Entry entry, DateTimeOffset now) => new(
        key.Source, key.SourceNamespace, key.Instance, key.Endpoint, entry.State, entry.Active, Math.Round(entry.EwmaMs, 3), entry.Weight,
        entry.EjectedUntil > now ? entry.EjectedUntil : null, entry.Why, entry.At);

    /// <summary>What is over makes room, else one entry of the identity that has most.</summary>
    private bool MakeRoomLocked(SpiffeId newcomer, DateTimeOffset now)
    {
        if (now - _swept >= Fresh || now < _swept)
        {
            _swept = now;
            foreach (var (key, entry) in _entries)
            {
                if (now - entry.At > Fresh)
                {
                    RemoveLocked(key);
                }
            }
        }

        if (_entries.Count >= MaxEntries && _holdings.TryFindRicher(newcomer, out var richest))
        {
            RemoveLocked(_entries.First(e => e.Value.Peer == richest).Key);
        }

        return _entries.Count < MaxEntries;
    }

    private void RemoveLocked(in BalancerKey key)
    {
        if (_entries.Remove(key, out var gone))
        {
            _holdings.Remove(gone.Peer);
        }
    }

    private sealed class Entry(SpiffeId peer)
    {
        public SpiffeId Peer => peer;

        public string State { get; set; } = string.Empty;

        public string? Why { get; set; }

        public long Active { get; set; }

        public double EwmaMs { get; set; }

        public double Weight { get; set; }

        public DateTimeOffset? EjectedUntil { get; set; }

        public DateTimeOffset At { get; set; }
    }
}
