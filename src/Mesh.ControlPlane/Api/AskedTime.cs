using System.Globalization;
using Mesh.ControlPlane.Insight;

namespace Mesh.ControlPlane.Api;

/// <summary>The time that a question is about (docs/api.md): <c>window</c> in seconds, or <c>from</c> and <c>to</c>.</summary>
internal readonly record struct AskedTime(DateTimeOffset From, DateTimeOffset To)
{
    /// <summary>7 days: nothing is kept for longer.</summary>
    public const int LongestSeconds = 7 * 86_400;

    /// <param name="standard">Without any of them: the last so many seconds.</param>
    /// <exception cref="BadHttpRequestException">One of them is no time, or they exclude each other.</exception>
    public static AskedTime Of(string? window, string? from, string? to, DateTimeOffset now, TimeSpan standard)
    {
        if (window is not null)
        {
            return (from ?? to) is not null
                ? throw new BadHttpRequestException("window excludes from and to: give the last so many seconds, or the two ends.")
                : new AskedTime(now - Window(window), now);
        }

        var end = to is null ? now : Parse("to", to, now);
        var start = from is null ? end - standard : Parse("from", from, now);
        return start >= end ? throw new BadHttpRequestException($"from ({start:O}) is not before to ({end:O}).")
            : now - start > TimeSpan.FromDays(366) ? throw new BadHttpRequestException($"from ({start:O}) is more than a year back; nothing is kept so long.")
            : new AskedTime(start, end > now ? now : end);
    }

    /// <summary>As what is judged asks it.</summary>
    /// <inheritdoc cref="Of"/>
    public static InsightTime Insight(string? window, string? from, string? to, TimeProvider time, TimeSpan standard)
    {
        var now = time.GetUtcNow();
        var asked = Of(window, from, to, now, standard);
        return new InsightTime(now, asked.From, asked.To);
    }

    /// <exception cref="BadHttpRequestException">It is none.</exception>
    public static TimeSpan Window(string window) =>
        int.TryParse(window, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 1 and <= LongestSeconds
            ? TimeSpan.FromSeconds(seconds)
            : throw new BadHttpRequestException($"window is '{window}'. Give seconds, 1–{LongestSeconds}.");

    private static DateTimeOffset Parse(string name, string text, DateTimeOffset now)
    {
        if (double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var back) && back is <= 0 and > -366 * 86_400.0)
        {
            return now + TimeSpan.FromSeconds(back);
        }

        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var at)
            ? at
            : throw new BadHttpRequestException($"{name} is '{text}'. Give a time such as 2026-01-31T12:00:00Z, or seconds back such as -3600.");
    }
}
