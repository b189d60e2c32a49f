using System.Diagnostics.Metrics;

namespace Mesh.Telemetry;

/// <summary>One series of a counter. Thread-safe.</summary>
/// <remarks>It expires as <see cref="MetricSeries"/> does: nothing counted meanwhile is lost.</remarks>
internal sealed class CounterTotal
{
    private readonly Lock _lock = new();
    private readonly long _hash;

    // What was collected; guarded by _lock. The rest is in _new.
    private long _collected;
    private long _new;
    private int _expired;

    public CounterTotal(Instrument instrument, IReadOnlyList<KeyValuePair<string, string>> tags, long hash, DateTimeOffset start)
    {
        (Name, Unit, Description) = (instrument.Name, instrument.Unit ?? string.Empty, instrument.Description ?? string.Empty);
        (Tags, _hash, Start, LastCounted) = (tags, hash, start, start);
    }

    public string Name { get; }

    public string Unit { get; }

    public string Description { get; }

    public IReadOnlyList<KeyValuePair<string, string>> Tags { get; }

    /// <summary>Since when it counts.</summary>
    public DateTimeOffset Start { get; }

    public long Total
    {
        get
        {
            lock (_lock)
            {
                return _collected + Interlocked.Read(ref _new);
            }
        }
    }

    /// <summary>As far as the collector has seen; owned by it.</summary>
    internal DateTimeOffset LastCounted { get; set; }

    /// <summary>The next one of those whose tags hash alike; owned by its instrument.</summary>
    internal CounterTotal? Next { get; set; }

    /// <returns>False when it has expired: what was counted here is to be <see cref="Collect"/>ed and counted elsewhere.</returns>
    public bool Add(long value)
    {
        Interlocked.Add(ref _new, value);
        return Volatile.Read(ref _expired) == 0;
    }

    /// <summary>For a counter that is read, not told of: its total is now this.</summary>
    public void Set(long total)
    {
        lock (_lock)
        {
            Interlocked.Exchange(ref _new, Math.Max(0, total - _collected));
        }
    }

    /// <summary>Takes what was counted since the last call. The total keeps it.</summary>
    public long Collect()
    {
        lock (_lock)
        {
            var taken = Interlocked.Exchange(ref _new, 0);
            _collected += taken;
            return taken;
        }
    }

    /// <returns>What came meanwhile.</returns>
    internal long Expire()
    {
        Interlocked.Exchange(ref _expired, 1);
        return Collect();
    }

    internal bool Is(long hash, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (hash != _hash || tags.Length != Tags.Count)
        {
            return false;
        }

        for (var i = 0; i < tags.Length; i++)
        {
            if (!string.Equals(tags[i].Key, Tags[i].Key, StringComparison.Ordinal) || !string.Equals(TagText.Of(tags[i].Value), Tags[i].Value, StringComparison.Ordinal))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>The tags of a measurement as text: ours are text already.</summary>
internal static class TagText
{
    public static string Of(object? value) => value as string ?? Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture) ?? string.Empty;

    /// <summary>Names are few and are told apart by their values: these alone are hashed.</summary>
    public static long Hash(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        long hash = tags.Length;
        foreach (var (_, value) in tags)
        {
            hash = (hash * 31) + Of(value).GetHashCode(StringComparison.Ordinal);
        }

        return hash;
    }

    public static KeyValuePair<string, string>[] Copy(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var copy = new KeyValuePair<string, string>[tags.Length];
        for (var i = 0; i < tags.Length; i++)
        {
            copy[i] = new(tags[i].Key, Of(tags[i].Value));
        }

        return copy;
    }
}
