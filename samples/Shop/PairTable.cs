using System.Globalization;
using System.Text;

namespace Shop;

/// <summary>The pairs as a person reads them.</summary>
internal static class PairTable
{
    private static readonly string[] _head = ["SRC", "DST", "SUCCESS", "EFFECTIVE", "RPS", "P50", "P95", "P99", "SECURED", "RETRIES"];

    public static string Render(IReadOnlyList<Pair> pairs)
    {
        List<string[]> rows = [_head, .. pairs.OrderBy(pair => (pair.Source, pair.Destination)).Select(Row)];
        var widths = Enumerable.Range(0, _head.Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            // Names stand left, numbers right.
            var cells = row.Select((cell, column) => column < 2 ? cell.PadRight(widths[column]) : cell.PadLeft(widths[column]));
            text.AppendLine(string.Join("  ", cells).TrimEnd());
        }

        return text.ToString();
    }

    private static string[] Row(Pair pair) =>
    [
        pair.Source, pair.Destination, Percent(pair.SuccessRate), Percent(pair.EffectiveSuccessRate),
        Number(pair.Rps, "0.0", ""), Number(pair.P50Ms, "0.0", "ms"), Number(pair.P95Ms, "0.0", "ms"), Number(pair.P99Ms, "0.0", "ms"),
        Percent(pair.MtlsShare), pair.Retries.ToString(CultureInfo.InvariantCulture),
    ];

    private static string Percent(double? share) => Number(share * 100, "0.00", "%");

    private static string Number(double? value, string format, string unit) =>
        value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) + unit : "-";
}
