using System.Globalization;

namespace Mesh.Cli.Output;

/// <summary>Columns that line up: words left, numbers right, nothing trailing.</summary>
internal sealed class Table(params (string Head, bool IsNumber)[] columns)
{
    private readonly List<string[]> _rows = [];

    public void Add(params string[] cells) => _rows.Add(cells);

    public async Task WriteToAsync(TextWriter output)
    {
        string[] head = [.. columns.Select(column => column.Head)];
        string[][] all = Array.TrueForAll(head, text => text.Length == 0) ? [.. _rows] : [head, .. _rows];
        var widths = Enumerable.Range(0, columns.Length).Select(column => all.Max(row => row[column].Length)).ToArray();
        foreach (var row in all)
        {
            var cells = row.Select((cell, column) => columns[column].IsNumber ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]));
            await output.WriteLineAsync(string.Join("   ", cells).TrimEnd());
        }
    }

    public static string Percent(double? share) => Number(share * 100, "0.00", "%");

    public static string Number(double? value, string format, string unit = "") =>
        value is { } number ? number.ToString(format, CultureInfo.InvariantCulture) + unit : "-";
}
