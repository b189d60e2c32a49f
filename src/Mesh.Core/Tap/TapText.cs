using System.Buffers;
using System.Globalization;

namespace Mesh.Tap;

/// <summary>What strangers wrote (paths, headers, names), as text that shows itself and does nothing.</summary>
internal static class TapText
{
    /// <summary>Characters of a value at most, beside the dots that say that there was more.</summary>
    public const int Longest = 256;

    // Printable ASCII is nearly everything, and nothing of it needs a look.
    private static readonly SearchValues<char> _plain = SearchValues.Create([.. Enumerable.Range(' ', '~' - ' ' + 1).Select(c => (char)c)]);

    /// <summary>Cut to <paramref name="longest"/> characters; control characters, formats that turn the direction of writing, and broken surrogates become U+FFFD.</summary>
    public static string Of(string? text, int longest = Longest)
    {
        if (text is null)
        {
            return string.Empty;
        }

        if (text.Length <= longest && !text.AsSpan().ContainsAnyExcept(_plain))
        {
            return text;
        }

        var length = text.Length;
        if (length > longest)
        {
            // Not between the halves of a pair.
            length = char.IsHighSurrogate(text[longest - 1]) ? longest - 1 : longest;
        }

        return string.Create(length + (length < text.Length ? 1 : 0), (text, length), static (to, from) =>
        {
            for (var i = 0; i < from.length; i++)
            {
                var c = from.text[i];
                if (char.IsHighSurrogate(c) && i + 1 < from.length && char.IsLowSurrogate(from.text[i + 1]))
                {
                    to[i] = c;
                    to[++i] = from.text[i];
                    continue;
                }

                to[i] = IsHarmless(c) ? c : '\ufffd';
            }

            if (to.Length > from.length)
            {
                to[^1] = '…';
            }
        });
    }

    /// <summary>What <see cref="Of"/> leaves as it is.</summary>
    public static bool IsClean(string text, int longest = Longest) => Of(text, longest + 1) == text;

    private static bool IsHarmless(char c) => CharUnicodeInfo.GetUnicodeCategory(c) is not
        (UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse or UnicodeCategory.OtherNotAssigned);
}
