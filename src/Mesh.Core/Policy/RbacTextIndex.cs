using System.Collections.Frozen;

namespace Mesh.Policy;

/// <summary>Rules by a text that they need, or its beginning. Immutable and thread-safe.</summary>
/// <remarks>Prefixes are looked up once for each length that occurs, not once for each prefix.</remarks>
internal sealed class RbacTextIndex
{
    private readonly FrozenDictionary<string, int[]> _exact;
    private readonly FrozenDictionary<string, int[]> _prefixes;
    private readonly FrozenDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> _prefixLookup;
    private readonly int[] _lengths;

    private RbacTextIndex(Builder from)
    {
        _exact = Freeze(from.Exact);
        _prefixes = Freeze(from.Prefixes);
        _prefixLookup = _prefixes.GetAlternateLookup<ReadOnlySpan<char>>();
        _lengths = [.. from.Prefixes.Keys.Select(k => k.Length).Distinct().Order()];
    }

    public bool IsEmpty => _exact.Count == 0 && _lengths.Length == 0;

    /// <param name="best">Only lower ones count.</param>
    public int First(string value, RbacRule[] rules, in RbacRequest request, int best)
    {
        if (_exact.Count > 0 && _exact.TryGetValue(value, out var found))
        {
            best = RbacIndex.First(found, rules, request, best);
        }

        foreach (var length in _lengths)
        {
            if (length > value.Length)
            {
                break;
            }

            if (_prefixLookup.TryGetValue(value.AsSpan(0, length), out found))
            {
                best = RbacIndex.First(found, rules, request, best);
            }
        }

        return best;
    }

    private static FrozenDictionary<string, int[]> Freeze(Dictionary<string, List<int>> from) =>
        from.ToFrozenDictionary(p => p.Key, p => p.Value.Distinct().ToArray(), StringComparer.OrdinalIgnoreCase);

    /// <summary>Takes rules in ascending order.</summary>
    public sealed class Builder
    {
        public Dictionary<string, List<int>> Exact { get; } = new(StringComparer.OrdinalIgnoreCase);

        public Dictionary<string, List<int>> Prefixes { get; } = new(StringComparer.OrdinalIgnoreCase);

        public void Add(IReadOnlyList<RbacText> texts, int rule)
        {
            foreach (var text in texts)
            {
                var place = text.IsPrefix ? Prefixes : Exact;
                if (!place.TryGetValue(text.Text, out var rules))
                {
                    place.Add(text.Text, rules = []);
                }

                rules.Add(rule);
            }
        }

        public RbacTextIndex Build() => new(this);
    }
}

/// <summary>A text, or the beginning of one.</summary>
internal readonly record struct RbacText(string Text, bool IsPrefix);
