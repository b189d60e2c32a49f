using Mesh.Config;
using Wire = Mesh.Protos.Envoy.Cluster.Cluster.Types.SlowStartConfig;

namespace Mesh.Xds.Decoding;

/// <summary>How endpoints warm up.</summary>
internal static class SlowStartDecoder
{
    /// <returns>Null without a window: then there is none (Envoy).</returns>
    public static SlowStart? Decode(Wire? given, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            return null;
        }

        var window = errors.Time(given.SlowStartWindow, $"{path}.slow_start_window");
        var aggression = given.Aggression?.DefaultValue ?? 1;
        if (!(aggression > 0 && double.IsFinite(aggression)))
        {
            errors.Add($"{path}.aggression.default_value", $"is {aggression}", "Use more than 0, or leave it out for 1.");
        }

        var least = PercentDecoder.Whole(given.MinWeightPercent, 10, $"{path}.min_weight_percent", errors);
        return window is { } time && time > TimeSpan.Zero ? new SlowStart(time, aggression, least) : null;
    }
}

/// <summary>Percentages that come as fractions.</summary>
internal static class PercentDecoder
{
    /// <summary>Rounded to whole percents; the default when absent or wrong, the latter noted.</summary>
    public static int Whole(Protos.Envoy.Type.Percent? given, int absent, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            return absent;
        }

        if (!(given.Value >= 0 && given.Value <= 100))
        {
            errors.Add($"{path}.value", $"is {given.Value}", "Use 0–100.");
            return absent;
        }

        return (int)Math.Round(given.Value, MidpointRounding.AwayFromZero);
    }
}
