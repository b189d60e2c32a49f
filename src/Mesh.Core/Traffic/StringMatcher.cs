using System.Text.RegularExpressions;

namespace Mesh.Traffic;

/// <summary>One meaning of "this text matches" for routes and policies (gRFC A63). Immutable and thread-safe.</summary>
internal sealed record StringMatcher(StringMatchKind Kind, string Text, bool IgnoreCase = false)
{
    private readonly Regex? _regex = Kind == StringMatchKind.Regex ? Compile(Text) : null;

    /// <summary>Builds a full-match expression; linear in time (RE2's promise), so no look-around and no back-reference.</summary>
    /// <exception cref="ArgumentException">The expression is malformed, uses what RE2 refuses, or is too large (<see cref="RegexCost"/>).</exception>
    public static Regex Compile(string expression)
    {
        if (RegexCost.Of(expression) > RegexCost.Most)
        {
            throw new ArgumentException($"Its counted repetitions, written out, are longer than {RegexCost.Most} characters.", nameof(expression));
        }

        try
        {
            // Alone first: "a)|(b" is malformed, but would be well-formed inside the group.
            _ = new Regex(expression, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return new Regex($@"\A(?:{expression})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException(e.Message, nameof(expression), e);
        }
    }

    public bool Matches(string value) => Matches(value.AsSpan());

    /// <inheritdoc cref="Matches(string)"/>
    public bool Matches(ReadOnlySpan<char> value)
    {
        var comparison = IgnoreCase ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal;
        return Kind switch
        {
            StringMatchKind.Exact => value.Equals(Text, comparison),
            StringMatchKind.Prefix => value.StartsWith(Text, comparison),
            StringMatchKind.PathPrefix => value.StartsWith(Text, comparison) && (value.Length == Text.Length || value[Text.Length] == '/'),
            StringMatchKind.Suffix => value.EndsWith(Text, comparison),
            StringMatchKind.Contains => value.Contains(Text, comparison),
            _ => _regex!.IsMatch(value),
        };
    }
}

/// <summary>How a text is compared.</summary>
internal enum StringMatchKind
{
    Exact,
    Prefix,

    /// <summary>Whole segments: <c>/a</c> takes <c>/a</c> and <c>/a/b</c>, not <c>/ab</c>; the text has no trailing slash (Gateway API PathPrefix, xDS path_separated_prefix).</summary>
    PathPrefix,
    Suffix,
    Contains,

    /// <summary>Full match; case is as the expression says.</summary>
    Regex,
}
