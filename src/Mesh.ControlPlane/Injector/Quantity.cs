using System.Globalization;

namespace Mesh.ControlPlane.Injector;

/// <summary>Amounts as Kubernetes writes them: <c>250m</c>, <c>0.5</c>, <c>64Mi</c>, <c>1e9</c>.</summary>
internal static class Quantity
{
    public const string Rule = "Use an amount such as 100m, 0.5, 64Mi or 1Gi.";

    private static readonly (string Suffix, decimal Factor)[] Suffixes =
    [
        ("Ki", 1024m), ("Mi", 1024m * 1024), ("Gi", 1024m * 1024 * 1024), ("Ti", 1024m * 1024 * 1024 * 1024),
        ("m", 0.001m), ("k", 1e3m), ("M", 1e6m), ("G", 1e9m), ("T", 1e12m), ("", 1m),
    ];

    /// <summary>Up to 10¹⁵, which is more than any node has.</summary>
    public static bool TryParse(string text, out decimal amount)
    {
        amount = 0;
        foreach (var (suffix, factor) in Suffixes)
        {
            if (!text.EndsWith(suffix, StringComparison.Ordinal))
            {
                continue;
            }

            var number = text.AsSpan(0, text.Length - suffix.Length);
            var style = suffix.Length == 0 ? NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent : NumberStyles.AllowDecimalPoint;
            return number.Length is > 0 and <= 20 && char.IsAsciiDigit(number[0]) && decimal.TryParse(number, style, CultureInfo.InvariantCulture, out amount)
                && amount <= 1e15m / Math.Max(1, factor) && (amount *= factor) >= 0;
        }

        return false;
    }
}
