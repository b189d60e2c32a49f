using Mesh.Config;
using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>What becomes of one route's resilience under what apps allow: compiled once for each set of limits, as long as they are few. Thread-safe.</summary>
internal sealed class NarrowedResilience(RouteAction.Forward forward, TimeSpan? maxStreamDuration, TimeProvider time, Random random)
{
    /// <summary>A program has a handful of clients. With more sets the oldest is compiled again.</summary>
    public const int Max = 64;

    private Entry[] _entries = [];

    /// <summary>Null when nothing is armed.</summary>
    public RouteResilience? For(CallLimits limits)
    {
        var entries = Volatile.Read(ref _entries);
        for (var i = 0; i < entries.Length; i++)
        {
            if (ReferenceEquals(entries[i].Limits, limits) || entries[i].Limits.Equals(limits))
            {
                return entries[i].Resilience;
            }
        }

        var compiled = RouteResilience.Compile(forward, maxStreamDuration, time, random, limits);
        // A racing writer may lose its entry: the next call compiles it again.
        Volatile.Write(ref _entries, [.. entries.Length < Max ? entries : entries[1..], new Entry(limits, compiled)]);
        return compiled;
    }

    private sealed record Entry(CallLimits Limits, RouteResilience? Resilience);
}
