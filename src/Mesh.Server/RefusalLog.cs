using System.Collections.Concurrent;

namespace Mesh.Server;

/// <summary>Says which refusal gets a line in the log: under overload there are as many as requests. Thread-safe.</summary>
internal sealed class RefusalLog(TimeProvider time)
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(10);

    // Reasons are words and names of limits: as many as the configuration has.
    private readonly ConcurrentDictionary<string, Tally> _tallies = new(StringComparer.Ordinal);

    /// <summary>The first, then at most one in ten seconds for each reason.</summary>
    /// <param name="count">Refusals since the last line, this one included.</param>
    public bool IsDue(string reason, out long count)
    {
        var tally = _tallies.GetOrAdd(reason, static _ => new Tally());
        Interlocked.Increment(ref tally.Untold);
        var now = time.GetTimestamp();
        var last = Volatile.Read(ref tally.LastTold);
        if ((last != 0 && time.GetElapsedTime(last, now) < Between) || Interlocked.CompareExchange(ref tally.LastTold, now, last) != last)
        {
            count = 0;
            return false;
        }

        count = Interlocked.Exchange(ref tally.Untold, 0);
        return true;
    }

    private sealed class Tally
    {
        public long Untold;
        public long LastTold;
    }
}
