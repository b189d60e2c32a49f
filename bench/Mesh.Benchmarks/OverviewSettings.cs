using System.Globalization;

namespace Mesh.Benchmarks;

/// <summary>How much is measured, of how big a mesh.</summary>
/// <param name="Refreshes">Of the overview, ten seconds apart.</param>
internal sealed record OverviewSettings(int Series, int Refreshes)
{
    public static OverviewSettings Parse(string[] args)
    {
        var settings = new OverviewSettings(5_000, 60);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var number = int.Parse(args[i + 1], CultureInfo.InvariantCulture);
            settings = args[i] switch
            {
                "--series" => settings with { Series = Math.Clamp(number, 100, 20_000) },
                "--refreshes" => settings with { Refreshes = Math.Clamp(number, 1, 1_000) },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        return settings;
    }
}
