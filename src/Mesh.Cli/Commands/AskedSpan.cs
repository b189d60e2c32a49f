using System.Globalization;

namespace Mesh.Cli.Commands;

/// <summary>The time that numbers are asked of: the last so many seconds, or two ends.</summary>
/// <param name="From">As the API takes it; null: as long before the end as it usually is.</param>
/// <param name="To">As the API takes it; null: now.</param>
internal sealed record AskedSpan(int Seconds, string? From, string? To)
{
    /// <summary>It does not end now.</summary>
    public bool IsFixed => To is not null;

    public bool HasEnds => (From ?? To) is not null;

    /// <summary>For the query of a request.</summary>
    public IEnumerable<(string Key, string? Value)> Query => HasEnds ? [("from", From), ("to", To)] : [("window", Seconds.ToString(CultureInfo.InvariantCulture))];

    /// <summary>For people: "in the last 30 s".</summary>
    public string Words => HasEnds ? $"from {From ?? "a minute before"} to {To ?? "now"}" : $"in the last {Seconds} s";

    /// <summary>A moment as <c>--from</c> and <c>--to</c> take it beside names, which have neither a colon nor a minus before them: <c>2026-01-31T14:05:00Z</c>, <c>-1h</c>, <c>now</c> is none.</summary>
    /// <returns>As the API takes it; null: it is a name.</returns>
    public static string? Moment(string text)
    {
        if (text is ['-', ..])
        {
            return CommonOptions.TryParseTime(text[1..], out var back) ? (-back.TotalSeconds).ToString(CultureInfo.InvariantCulture)
                : double.TryParse(text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out _) ? text : null;
        }

        return text.Contains(':', StringComparison.Ordinal) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out var at)
            ? at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture) : null;
    }
}
