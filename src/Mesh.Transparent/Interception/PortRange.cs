using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Mesh.Transparent.Interception;

/// <summary>Ports from the first to the last, both within; 1–65535.</summary>
internal readonly record struct PortRange(ushort First, ushort Last)
{
    /// <summary>Reads <c>4191</c> or <c>8000-8100</c>.</summary>
    public static bool TryParse(string text, out PortRange range, [NotNullWhen(false)] out string? problem)
    {
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        range = default;
        problem = null;
        if (!TryPort(dash < 0 ? text : text[..dash], out var first) || !TryPort(dash < 0 ? text : text[(dash + 1)..], out var last))
        {
            problem = "is not a port or a range of ports. Give 1-65535, as in 4191 or 8000-8100.";
        }
        else if (last < first)
        {
            problem = $"runs backwards. Write {last}-{first}.";
        }
        else
        {
            range = new(first, last);
        }

        return problem is null;
    }

    public override string ToString() => ToString('-');

    /// <summary>With what stands between the two: iptables has a colon there.</summary>
    public string ToString(char between) =>
        First == Last ? First.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{First}{between}{Last}");

    private static bool TryPort(string text, out ushort port) => ushort.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out port) && port != 0;
}
