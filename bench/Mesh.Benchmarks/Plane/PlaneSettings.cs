using System.Globalization;

namespace Mesh.Benchmarks.Plane;

/// <summary>How large the simulated mesh is, how it changes, and for how long.</summary>
/// <param name="Watch">Services that each client asks for.</param>
/// <param name="Rate">Changes of endpoints per second.</param>
/// <param name="Source"><c>synthetic</c> or <c>kubernetes</c>.</param>
/// <param name="Variants"><c>delta</c> and <c>sotw</c>.</param>
/// <param name="Tls">Mutual TLS, as workloads use it; else the plaintext port.</param>
/// <param name="Decode">Clients decode all they get as ours do, and refuse what they can't take: slower, for runs that assert.</param>
internal sealed record PlaneSettings(
    int Services, int Endpoints, int Clients, int Watch, int Rate, TimeSpan Duration, int Repetitions, string Source, string[] Variants, bool Tls, bool Decode)
{
    /// <summary>Of the clients and of the Services: few enough that each client has a neighbour in its own.</summary>
    public int Namespaces => Math.Min(20, Services);

    /// <summary>Services that are restarted at the same time.</summary>
    public int Restarting => Math.Min(10, Services);

    public static PlaneSettings Parse(string[] args)
    {
        var settings = new PlaneSettings(1000, 10, 1000, 20, 100, TimeSpan.FromSeconds(20), 3, "synthetic", ["delta", "sotw"], Tls: true, Decode: false);
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : throw new ArgumentException($"'{args[i]}' needs a value.");
            settings = args[i] switch
            {
                "--services" => settings with { Services = Math.Clamp(Number(value), 1, 9999) },
                "--endpoints" => settings with { Endpoints = Math.Clamp(Number(value), 1, 100) },
                "--clients" => settings with { Clients = Math.Clamp(Number(value), 1, 5000) },
                "--watch" => settings with { Watch = Math.Clamp(Number(value), 1, 1000) },
                "--rate" => settings with { Rate = Math.Clamp(Number(value), 1, 10_000) },
                "--seconds" => settings with { Duration = TimeSpan.FromSeconds(Math.Clamp(Number(value), 1, 300)) },
                "--repetitions" => settings with { Repetitions = Math.Clamp(Number(value), 1, 20) },
                "--source" => settings with { Source = Known(value, "synthetic", "kubernetes")[0] },
                "--variants" => settings with { Variants = Known(value, "delta", "sotw") },
                "--tls" => settings with { Tls = value == "on" },
                "--decode" => settings with { Decode = value == "on" },
                _ => throw new ArgumentException($"Unknown option '{args[i]}'."),
            };
        }

        if (settings is { Source: "kubernetes", Tls: false })
        {
            throw new ArgumentException("On Kubernetes there is no plaintext port: leave --tls on.");
        }

        return settings with { Watch = Math.Min(settings.Watch, settings.Services) };
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static string[] Known(string list, params string[] known) =>
        [.. list.Split(',').Select(w => known.Contains(w) ? w : throw new ArgumentException($"'{w}' is none of {string.Join(", ", known)}."))];
}
