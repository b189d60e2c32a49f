using System.Globalization;

namespace Mesh.Benchmarks;

/// <summary>How long and how hard to measure.</summary>
/// <param name="Epochs">How often everything is made anew.</param>
/// <param name="Duration">Of one epoch.</param>
/// <param name="Calls">Of one slice.</param>
internal sealed record TelemetrySettings(int Epochs, TimeSpan Duration, int Calls, int Concurrency)
{
    public static TelemetrySettings Parse(string[] args)
    {
        var settings = new TelemetrySettings(6, TimeSpan.FromSeconds(25), 1000, 16);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var number = double.Parse(args[i + 1], CultureInfo.InvariantCulture);
            settings = args[i] switch
            {
                "--epochs" => settings with { Epochs = (int)Math.Clamp(number, 1, 50) },
                "--seconds" => settings with { Duration = TimeSpan.FromSeconds(Math.Clamp(number, 0.1, 600)) },
                "--calls" => settings with { Calls = (int)Math.Clamp(number, 10, 100_000) },
                "--concurrency" => settings with { Concurrency = (int)Math.Clamp(number, 1, 512) },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        return settings;
    }
}
