using System.Globalization;
using Mesh.ControlPlane.Model;
using Mesh.Export;

namespace Mesh.ControlPlane.Telemetry;

/// <summary>What one report says of itself.</summary>
/// <param name="Run">Which run of the workload; empty: it does not say.</param>
/// <param name="Number">Which message of the run; 0: it does not say.</param>
/// <param name="IsLast">The workload stops, and this was all.</param>
/// <param name="DroppedFrom">Measurements were given up, from so long ago.</param>
/// <param name="DroppedTo">To so long ago.</param>
/// <param name="Closed">Ends with the connection that it came by.</param>
internal sealed record ReportNote(string Run, long Number, bool IsLast, TimeSpan? DroppedFrom, TimeSpan? DroppedTo, CancellationToken Closed)
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    /// <param name="header">Null: there is none.</param>
    public static ReportNote Of(Func<string, string?> header, CancellationToken closed)
    {
        var dropped = header(ReportHeaders.Dropped)?.Split('.') ?? [];
        var (from, to) = dropped.Length == 2 ? (Seconds(dropped[0]), Seconds(dropped[1])) : (null, null);
        var run = header(ReportHeaders.Run);
        return new ReportNote(run is { Length: <= 64 } ? run : string.Empty, Whole(header(ReportHeaders.Number)), header(ReportHeaders.Last) == "1", from, to, closed);
    }

    private static long Whole(string? text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private static TimeSpan? Seconds(string text) =>
        double.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= Longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : null;
}

/// <summary>Knows who reports, and makes a gap of it when somebody ends without its last report, or says that it dropped some. Bounded. Thread-safe.</summary>
/// <remarks>A connection that breaks may come again: a later report of the same run brings what was kept meanwhile, and the gap goes.</remarks>
internal sealed class ReportWatch(GoldenStore store, Stopping stopping, TimeProvider time)
{
    public const int MaxReporters = 20_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string Peer, string Instance, string Run), Entry> _entries = [];
    private readonly Holdings<string> _holdings = new();
    private DateTimeOffset _swept = DateTimeOffset.MinValue;

    public void Heard(Reporter from, ReportNote note)
    {
        if (note.Run.Length == 0 || from.Problem is not null)
        {
            return;
        }

        var (now, who) = (time.GetUtcNow(), $"{from.Workload}@{from.Peer.Namespace}");
        if (note is { DroppedFrom: { } since, DroppedTo: { } until } && since > until)
        {
            store.Gaps.Add(new MissingTime(now - since, now - until, who, "The control plane could not be reached for so long that measurements were dropped."));
        }

        var key = (from.Peer.ToString(), from.Instance, note.Run);
        if (note.IsLast)
        {
            store.Open.Forget(new ReportingInstance(key.Item1, key.Item2));
        }

        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out var entry))
            {
                if (_entries.Count >= MaxReporters && !MakeRoomLocked(now, key.Item1))
                {
                    return;
                }

                _entries[key] = entry = new Entry(who);
                _holdings.Add(key.Item1);
            }

            entry.At = now;
            if (entry.Gap is { } gap)
            {
                store.Gaps.Remove(gap);
                entry.Gap = null;
            }

            if (note.IsLast)
            {
                RemoveLocked(key, entry);
            }
            else if (entry.Closed != note.Closed)
            {
                entry.Watching.Unregister();
                entry.Closed = note.Closed;
                // Run at once when it is over already; Lost takes the lock again.
                entry.Watching = note.Closed.UnsafeRegister(_ => Lost(key, note.Closed), null);
            }
        }
    }

    private void Lost((string, string, string) key, CancellationToken closed)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            // Who reports by another connection by now has lost nothing; and this process may end it itself.
            if (stopping.Token.IsCancellationRequested || !_entries.TryGetValue(key, out var entry) || entry.Closed != closed)
            {
                return;
            }

            store.Open.Forget(new ReportingInstance(key.Item1, key.Item2));
            entry.Gap = new MissingTime(entry.At, now, entry.Who, "It ended without its last report, or lost its connection: what it counted after the one before is missing.");
            store.Gaps.Add(entry.Gap);
            SweepLocked(now);
        }
    }

    /// <summary>Who is gone for good makes room, else one of the identity that has most of them: its end is not seen.</summary>
    private bool MakeRoomLocked(DateTimeOffset now, string newcomer)
    {
        SweepLocked(now);
        if (_entries.Count >= MaxReporters && _holdings.TryFindRicher(newcomer, out var richest))
        {
            var (key, entry) = _entries.Where(e => e.Key.Peer == richest).MinBy(e => e.Value.At);
            RemoveLocked(key, entry);
        }

        return _entries.Count < MaxReporters;
    }

    private void SweepLocked(DateTimeOffset now)
    {
        // A connection that carried very many makes nobody look through all of them for each.
        if (now - _swept < Slots.Fine && _swept <= now)
        {
            return;
        }

        _swept = now;
        foreach (var (old, gone) in _entries.Where(e => e.Value.Gap is not null && now - e.Value.At > GoldenLimits.LongestTook).ToList())
        {
            RemoveLocked(old, gone);
        }
    }

    private void RemoveLocked((string Peer, string Instance, string Run) key, Entry entry)
    {
        entry.Watching.Unregister();
        if (_entries.Remove(key))
        {
            _holdings.Remove(key.Peer);
        }
    }

    private sealed class Entry(string who)
    {
        public string Who => who;

        public DateTimeOffset At { get; set; }

        public MissingTime? Gap { get; set; }

        public CancellationToken Closed { get; set; } = new(canceled: true);

        public CancellationTokenRegistration Watching { get; set; }
    }
}
