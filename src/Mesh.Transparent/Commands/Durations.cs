using System.Globalization;

namespace Mesh.Transparent.Commands;

/// <summary>Times as people write them on command lines.</summary>
internal static class Durations
{
    /// <summary>Reads <c>500ms</c>, <c>10s</c>, <c>2m</c>, <c>1h</c>, or <c>00:02:00</c> as everywhere in the settings; above 0, up to a day.</summary>
    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        var digits = text.AsSpan().TrimEnd("hms");
        TimeSpan? unit = text[digits.Length..] switch
        {
            "ms" => TimeSpan.FromMilliseconds(1),
            "s" => TimeSpan.FromSeconds(1),
            "m" => TimeSpan.FromMinutes(1),
            "h" => TimeSpan.FromHours(1),
            _ => null,
        };
        if (unit is { } one)
        {
            if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count) || count * one.TotalDays > 1)
            {
                return false;
            }

            duration = one * count;
        }
        else if (!text.Contains(':', StringComparison.Ordinal) || !TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out duration))
        {
            return false;
        }

        return duration > TimeSpan.Zero && duration <= TimeSpan.FromDays(1);
    }
}
