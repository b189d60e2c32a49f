using System.Globalization;

namespace Mesh.Benchmarks;

/// <summary>How long and how hard to measure.</summary>
internal sealed record HopSettings(int Pairs, TimeSpan Duration, int[] Concurrency)
{
    public static HopSettings Parse(string[] args)
    {
        var settings = new HopSettings(9, TimeSpan.FromSeconds(1.5), [1, 16, 64]);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var value = args[i + 1];
            settings = args[i] switch
            {
                "--pairs" => settings with { Pairs = Math.Clamp(int.Parse(value, CultureInfo.InvariantCulture), 1, 99) },
                "--seconds" => settings with { Duration = TimeSpan.FromSeconds(Math.Clamp(double.Parse(value, CultureInfo.InvariantCulture), 0.1, 30)) },
                "--concurrency" => settings with { Concurrency = [.. value.Split(',').Select(c => Math.Clamp(int.Parse(c, CultureInfo.InvariantCulture), 1, 512))] },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        return settings;
    }
}
