using System.Collections;
using System.Globalization;

namespace Mesh.Transparent;

/// <summary>Ports and ranges of them, as <c>25,8000-8010</c>. Immutable.</summary>
internal sealed class PortList : IEnumerable<int>
{
    private readonly (int First, int Last)[] _ranges;

    private PortList((int First, int Last)[] ranges) => _ranges = ranges;

    public static PortList Empty { get; } = new([]);

    /// <summary>Ports, each once.</summary>
    public int Count => _ranges.Sum(r => r.Last - r.First + 1);

    public static PortList Of(params int[] ports) => new(Merge([.. ports.Select(p => (p, p))]));

    /// <param name="wrong">The first part that is neither a port nor a range.</param>
    public static bool TryParse(string text, out PortList ports, out string wrong)
    {
        (ports, wrong) = (Empty, string.Empty);
        var ranges = new List<(int, int)>();
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var dash = part.IndexOf('-', StringComparison.Ordinal);
            var (first, last) = dash < 0 ? (part, part) : (part[..dash].TrimEnd(), part[(dash + 1)..].TrimStart());
            if (!IsPort(first, out var from) || !IsPort(last, out var to) || from > to)
            {
                wrong = part;
                return false;
            }

            ranges.Add((from, to));
        }

        ports = new PortList(Merge(ranges));
        return true;
    }

    /// <summary>Asked once per connection: a handful of ranges, so a scan.</summary>
    public bool Contains(int port)
    {
        foreach (var (first, last) in _ranges)
        {
            if (port >= first && port <= last)
            {
                return true;
            }
        }

        return false;
    }

    public IEnumerator<int> GetEnumerator() => _ranges.SelectMany(r => Enumerable.Range(r.First, r.Last - r.First + 1)).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    public override string ToString() => string.Join(',', _ranges.Select(r => r.First == r.Last
        ? r.First.ToString(CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"{r.First}-{r.Last}")));

    private static bool IsPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;

    private static (int, int)[] Merge(List<(int First, int Last)> ranges)
    {
        ranges.Sort();
        var merged = new List<(int First, int Last)>(ranges.Count);
        foreach (var range in ranges)
        {
            if (merged.Count > 0 && range.First <= merged[^1].Last + 1)
            {
                merged[^1] = (merged[^1].First, Math.Max(merged[^1].Last, range.Last));
            }
            else
            {
                merged.Add(range);
            }
        }

        return [.. merged];
    }
}
