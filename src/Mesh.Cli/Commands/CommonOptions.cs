using System.CommandLine;
using System.Globalization;
using Mesh.ControlPlane.Model;

namespace Mesh.Cli.Commands;

/// <summary>Options that several commands share, in one spelling.</summary>
internal static class CommonOptions
{
    public static Option<string> Output() => OneOf(new("--output", "-o") { Description = "table or json", DefaultValueFactory = _ => "table" }, "table", "json");

    /// <summary>In all the forms: for people, and for programs.</summary>
    public static Option<string> AnyOutput() =>
        OneOf(new("--output", "-o") { Description = "table, wide, json, yaml or jsonl", DefaultValueFactory = _ => "table" }, "table", "wide", "json", "yaml", "jsonl");

    /// <summary>Labels, as kubectl takes them.</summary>
    public static Option<string?> Selector(string description)
    {
        var option = new Option<string?>("--selector", "-l") { Description = description };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<string?>() is { } text && LabelSelector.Parse(text, out var problem) is null)
            {
                result.AddError($"--selector is '{text}'. {problem}");
            }
        });
        return option;
    }

    public static Option<string?> Namespace() => new("--namespace", "-n") { Description = "Only what touches this namespace" };

    /// <summary>A time such as <c>500ms</c>, <c>30s</c>, <c>5m</c>, <c>1h</c>, <c>7d</c>.</summary>
    public static Option<TimeSpan> Time(string name, TimeSpan standard, string description, params string[] aliases) => new(name, aliases)
    {
        Description = description,
        DefaultValueFactory = _ => standard,
        CustomParser = result =>
        {
            if (TryParseTime(result.Tokens[0].Value, out var time))
            {
                return time;
            }

            result.AddError($"{name} does not take '{result.Tokens[0].Value}': give a time such as 30s, 5m, 1h or 7d.");
            return default;
        },
    };

    public static bool TryParseTime(string text, out TimeSpan time)
    {
        time = default;
        (string Unit, double Seconds)[] units = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
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

    public static Option<string> OneOf(Option<string> option, params string[] values) => option.AcceptOnlyFromAmong(values);
}
