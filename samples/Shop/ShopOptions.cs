using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Shop;

/// <summary>What the user asked for on the command line.</summary>
internal sealed record ShopOptions
{
    public const string Usage = """
        Usage: dotnet run --project samples/Shop -- [options]

          --for TIME       run without a screen for this long (30s, 2m), then end
          --story          run the seven steps of the story, then end
          --summary FILE   write what was measured to FILE as JSON (with --for or --story)
          --customers N    how many customers ask at once (default 8)
          --pause TIME     what a customer waits between two pages (default 20ms)
          --help           this text
        """;

    public TimeSpan? For { get; init; }

    public bool Story { get; init; }

    public string? Summary { get; init; }

    public int Customers { get; init; } = 8;

    public TimeSpan Pause { get; init; } = TimeSpan.FromMilliseconds(20);

    public bool IsHeadless => For is not null || Story;

    public static bool TryParse(IReadOnlyList<string> args, [NotNullWhen(true)] out ShopOptions? options, out string problem)
    {
        options = null;
        var parsed = new ShopOptions();
        for (var i = 0; i < args.Count; i++)
        {
            var name = args[i];
            if (name is "--help" or "-h")
            {
                problem = Usage;
                return false;
            }

            if (name == "--story")
            {
                parsed = parsed with { Story = true };
                continue;
            }

            if (name is not ("--for" or "--summary" or "--customers" or "--pause"))
            {
                problem = $"Unknown option '{name}'.{Environment.NewLine}{Usage}";
                return false;
            }

            if (++i == args.Count)
            {
                problem = $"{name} needs a value.{Environment.NewLine}{Usage}";
                return false;
            }

            var value = args[i];
            problem = $"{name} does not take '{value}'.{Environment.NewLine}{Usage}";
            switch (name)
            {
                case "--for" when TryParseTime(value, out var time) && time > TimeSpan.Zero:
                    parsed = parsed with { For = time };
                    break;
                case "--pause" when TryParseTime(value, out var time):
                    parsed = parsed with { Pause = time };
                    break;
                case "--customers" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var customers) && customers is > 0 and <= 1000:
                    parsed = parsed with { Customers = customers };
                    break;
                case "--summary" when value.Length > 0:
                    parsed = parsed with { Summary = Path.GetFullPath(value) };
                    break;
                default:
                    return false;
            }
        }

        if (parsed is { Summary: not null, IsHeadless: false })
        {
            problem = $"--summary needs --for or --story: without them the shop runs until Ctrl-C.{Environment.NewLine}{Usage}";
            return false;
        }

        problem = "";
        options = parsed;
        return true;
    }

    /// <summary>Reads <c>500ms</c>, <c>30s</c>, <c>2m</c>, <c>1h</c>.</summary>
    internal static bool TryParseTime(string text, out TimeSpan time)
    {
        time = default;
        (string Unit, double Seconds)[] units = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)];
        foreach (var (unit, seconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text.AsSpan(0, text.Length - unit.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                if (number * seconds > TimeSpan.FromDays(1).TotalSeconds)
                {
                    return false;
                }

                time = TimeSpan.FromSeconds(number * seconds);
                return true;
            }
        }

        return false;
    }
}
