using System.Collections.Immutable;
using System.Globalization;

namespace Mesh.ControlPlane.Model;

/// <summary>Ports as people write them: <c>22,9000-9010</c>. Immutable.</summary>
internal sealed class PortRanges
{
    public const string Rule = "Write numbers from 1 to 65535 and ranges such as 9000-9010, with commas between.";

    public static readonly PortRanges None = new([]);

    private readonly ImmutableArray<(int First, int Last)> _ranges;

    private PortRanges(ImmutableArray<(int First, int Last)> ranges) => _ranges = ranges;

    public bool Contains(int port) => _ranges.Any(r => port >= r.First && port <= r.Last);

    /// <summary>An empty text is no port.</summary>
    public static bool TryParse(string text, out PortRanges ranges)
    {
        ranges = None;
        var found = ImmutableArray.CreateBuilder<(int, int)>();
        foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var dash = part.IndexOf('-', StringComparison.Ordinal);
            if (!TryPort(dash < 0 ? part : part[..dash], out var first) || !TryPort(dash < 0 ? part : part[(dash + 1)..], out var last) || first > last)
            {
                return false;
            }

            found.Add((first, last));
        }

        ranges = new PortRanges(found.ToImmutable());
        return true;
    }

    private static bool TryPort(string text, out int port) =>
        int.TryParse(text, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out port) && port is >= 1 and <= 65535;
}
