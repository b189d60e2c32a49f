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

/// <summary>The callers' balancers as they last told of themselves. Bounded; nothing of it is kept. Thread-safe.</summary>
internal sealed class BalancerTable
{
    public const int MaxEntries = 50_000;

    /// <summary>What was not told again for so long is over.</summary>
    public static readonly TimeSpan Fresh = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Dictionary<BalancerKey, Entry> _entries = [];
    private DateTimeOffset _swept;

    /// <param name="text">The state's word, of the gauge of states.</param>
    /// <param name="why">Why it sits out; null where it does not.</param>
    public void Set(in BalancerKey key, BalancerGauge gauge, double value, string text, string? why, DateTimeOffset now)
    {
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out var entry))
            {
                SweepLocked(now);
                if (_entries.Count >= MaxEntries)
                {
                    return;
                }

                _entries[key] = entry = new Entry();
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

    private void SweepLocked(DateTimeOffset now)
    {
        if (now - _swept >= Fresh || now < _swept)
        {
            _swept = now;
            foreach (var key in _entries.Where(e => now - e.Value.At > Fresh).Select(e => e.Key).ToList())
            {
                _entries.Remove(key);
            }
        }
    }

    private sealed class Entry
    {
        public string State { get; set; } = string.Empty;

        public string? Why { get; set; }

        public long Active { get; set; }

        public double EwmaMs { get; set; }

        public double Weight { get; set; }

        public DateTimeOffset? EjectedUntil { get; set; }

        public DateTimeOffset At { get; set; }
    }
}
