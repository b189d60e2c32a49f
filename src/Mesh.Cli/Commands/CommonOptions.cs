using System.CommandLine;
using System.Globalization;

namespace Mesh.Cli.Commands;

/// <summary>Options that several commands share, in one spelling.</summary>
internal static class CommonOptions
{
    public static Option<string> Output() => OneOf(new("--output", "-o") { Description = "table or json", DefaultValueFactory = _ => "table" }, "table", "json");

    public static Option<string?> Namespace() => new("--namespace", "-n") { Description = "Only what touches this namespace" };

    /// <summary>A time such as <c>500ms</c>, <c>30s</c>, <c>5m</c>, <c>1h</c>.</summary>
    public static Option<TimeSpan> Time(string name, TimeSpan standard, string description) => new(name)
    {
        Description = description,
        DefaultValueFactory = _ => standard,
        CustomParser = result =>
        {
            if (TryParseTime(result.Tokens[0].Value, out var time))
            {
                return time;
            }

            result.AddError($"{name} does not take '{result.Tokens[0].Value}': give a time such as 30s, 5m or 1h.");
            return default;
        },
    };

    private static bool TryParseTime(string text, out TimeSpan time)
    {
        time = default;
        (string Unit, double Seconds)[] units = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)];
        foreach (var (unit, seconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
                && number * seconds is > 0 and <= 366 * 86_400)
            {
                time = TimeSpan.FromSeconds(number * seconds);
                return true;
            }
        }

        return false;
    }

    private static Option<string> OneOf(Option<string> option, params string[] values) => option.AcceptOnlyFromAmong(values);
}
