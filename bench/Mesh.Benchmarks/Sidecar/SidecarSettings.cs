using System.Globalization;

namespace Mesh.Benchmarks.Sidecar;

/// <summary>How long and how hard to measure, which pairs, and which of the parts http, grpc, tcp, memory and start.</summary>
internal sealed record SidecarSettings(int Repetitions, TimeSpan Duration, int[] InFlight, string[] Pairs, string[] Parts, int IdleConnections)
{
    public static readonly string[] AllPairs = ["direct", "haproxy-h1", "haproxy-h2", "nginx", "mesh"];

    public static readonly string[] AllParts = ["start", "http", "grpc", "tcp", "memory"];

    public static SidecarSettings Parse(string[] args)
    {
        var settings = new SidecarSettings(5, TimeSpan.FromSeconds(2), [1, 16, 64, 256], AllPairs, AllParts, 1000);
        for (var i = 0; i + 1 < args.Length; i += 2)
        {
            var value = args[i + 1];
            settings = args[i] switch
            {
                "--repetitions" => settings with { Repetitions = Math.Clamp(Number(value), 1, 99) },
                "--seconds" => settings with { Duration = TimeSpan.FromSeconds(Math.Clamp(Number(value), 1, 60)) }, // h2load counts whole seconds
                "--in-flight" => settings with { InFlight = [.. value.Split(',').Select(c => Math.Clamp(Number(c), 1, 512))] },
                "--pairs" => settings with { Pairs = Known(value, AllPairs) },
                "--parts" => settings with { Parts = Known(value, AllParts) },
                "--idle" => settings with { IdleConnections = Math.Clamp(Number(value), 1, 5000) },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        return settings;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string[] Known(string list, string[] known) =>
        [.. list.Split(',').Select(w => known.Contains(w) ? w : throw new ArgumentException($"'{w}' is none of {string.Join(", ", known)}."))];
}
