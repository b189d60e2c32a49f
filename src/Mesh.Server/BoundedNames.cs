using System.Collections.Concurrent;

namespace Mesh.Server;

/// <summary>Keeps the number of distinct values of a metric's tag bounded: the first so many names, then <see cref="Other"/>. Thread-safe.</summary>
internal sealed class BoundedNames(int most)
{
    public const string Other = "other";

    private readonly ConcurrentDictionary<string, string> _names = new(StringComparer.Ordinal);
    private int _count;

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
