using System.Collections.Concurrent;

namespace Mesh.Telemetry;

/// <summary>Keeps the number of distinct values of a metric's tag bounded: the first so many names, then <see cref="Other"/>. Thread-safe.</summary>
internal sealed class BoundedNames(int most)
{
    public const string Other = MeshTags.Other;

    private readonly ConcurrentDictionary<string, string> _names = new(StringComparer.Ordinal);
    private int _count;

    /// <summary>The name as it was first seen; null when it is new.</summary>
    public string? Known(string name) => _names.GetValueOrDefault(name);

    /// <summary>The name, or <see cref="Other"/>. A known name costs one look-up and no memory.</summary>
    public string Of(ReadOnlySpan<char> name) => _names.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(name, out var known) ? known : Of(name.ToString());

    /// <summary>The name, or <see cref="Other"/>. A known name costs one look-up.</summary>
    public string Of(string name)
    {
        if (_names.TryGetValue(name, out var known))
        {
            return known;
        }

        if (Volatile.Read(ref _count) >= most)
        {
            return Other;
        }

        if (Interlocked.Increment(ref _count) > most)
        {
            Interlocked.Decrement(ref _count);
            return Other;
        }

        if (!_names.TryAdd(name, name))
        {
            Interlocked.Decrement(ref _count);
        }

        return name;
    }
}
