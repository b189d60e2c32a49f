using System.Globalization;

namespace Mesh.Traffic;

/// <summary>A condition on one header (gRFC A28, A63). Immutable and thread-safe.</summary>
/// <param name="Name">Lower case.</param>
/// <param name="Kind">What is asked.</param>
/// <param name="Text">For <see cref="HeaderMatchKind.Text"/>.</param>
/// <param name="Start">For <see cref="HeaderMatchKind.Range"/>: first number inside.</param>
/// <param name="End">For <see cref="HeaderMatchKind.Range"/>: first number outside.</param>
/// <param name="MissingIsEmpty">An absent header counts as an empty one, except for <see cref="HeaderMatchKind.Present"/>.</param>
/// <param name="Invert">Swaps yes and no of a header that is present; an absent one still does not match, except for <see cref="HeaderMatchKind.Present"/>.</param>
internal sealed record HeaderMatcher(string Name, HeaderMatchKind Kind, StringMatcher? Text = null, long Start = 0, long End = 0, bool Invert = false, bool MissingIsEmpty = false)
{
    public bool Matches(RequestHead head) => MatchesValue(Name.EndsWith("-bin", StringComparison.Ordinal) ? null : head.Header(Name));

    public bool MatchesValue(string? value)
    {
        if (Kind == HeaderMatchKind.Present)
        {
            return (value is not null) != Invert;
        }

        if (value is null)
        {
            if (!MissingIsEmpty)
            {
                return false;
            }

            value = string.Empty;
        }

        return Holds(value) != Invert;
    }

    /// <summary>Whether the condition holds for one value that is there, <see cref="Invert"/> aside.</summary>
    public bool Holds(ReadOnlySpan<char> value) => Kind switch
    {
        HeaderMatchKind.Present => true,
        HeaderMatchKind.Text => Text!.Matches(value),
        _ => long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) && number >= Start && number < End,
    };
}

/// <summary>What is asked of a header.</summary>
internal enum HeaderMatchKind
{
    Present,
    Text,
    Range,
}
