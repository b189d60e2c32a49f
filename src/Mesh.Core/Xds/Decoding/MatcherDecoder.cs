using Mesh.Protos.Envoy.Route;
using Mesh.Traffic;
using HeaderMatcher = Mesh.Traffic.HeaderMatcher;
using Matchers = Mesh.Protos.Envoy.Matcher;

namespace Mesh.Xds.Decoding;

/// <summary>Conditions on texts, headers and query parameters (gRFC A28, A63).</summary>
internal static class MatcherDecoder
{
    /// <summary>Longer expressions are nobody's honest route; they cost memory here.</summary>
    private const int MaxRegexLength = 4096;

    public static StringMatcher? Text(Matchers.StringMatcher? matcher, string path, DecodeErrors errors)
    {
        switch (matcher?.MatchPatternCase)
        {
            case Matchers.StringMatcher.MatchPatternOneofCase.Exact:
                return new StringMatcher(StringMatchKind.Exact, matcher.Exact, matcher.IgnoreCase);
            case Matchers.StringMatcher.MatchPatternOneofCase.Prefix:
                return new StringMatcher(StringMatchKind.Prefix, NotEmpty(matcher.Prefix, $"{path}.prefix", errors), matcher.IgnoreCase);
            case Matchers.StringMatcher.MatchPatternOneofCase.Suffix:
                return new StringMatcher(StringMatchKind.Suffix, NotEmpty(matcher.Suffix, $"{path}.suffix", errors), matcher.IgnoreCase);
            case Matchers.StringMatcher.MatchPatternOneofCase.Contains:
                return new StringMatcher(StringMatchKind.Contains, NotEmpty(matcher.Contains, $"{path}.contains", errors), matcher.IgnoreCase);
            case Matchers.StringMatcher.MatchPatternOneofCase.SafeRegex:
                return Regex(matcher.SafeRegex, $"{path}.safe_regex", errors);
            default:
                errors.Add(path, "has no pattern that is known here", "Set one of exact, prefix, suffix, contains, safe_regex.");
                return null;
        }
    }

    public static StringMatcher? Regex(Matchers.RegexMatcher matcher, string path, DecodeErrors errors)
    {
        if (matcher.Regex.Length is 0 or > MaxRegexLength)
        {
            errors.Add($"{path}.regex", $"has {matcher.Regex.Length} characters", $"Use 1–{MaxRegexLength}.");
            return null;
        }

        try
        {
            return new StringMatcher(StringMatchKind.Regex, matcher.Regex);
        }
        catch (ArgumentException e)
        {
            errors.Add($"{path}.regex", $"is '{matcher.Regex}', which is not valid: {e.Message}", "Use RE2 syntax: no look-around, no back-reference.");
            return null;
        }
    }

    public static HeaderMatcher? Header(Protos.Envoy.Route.HeaderMatcher matcher, string path, DecodeErrors errors)
    {
        // gRPC and HTTP/2 names are lower case on the wire; what cannot be a name can never match.
        var name = matcher.Name.ToLowerInvariant();
        if (name.Length == 0)
        {
            errors.Add($"{path}.name", "is empty", "Name the header.");
        }

        StringMatcher Plain(StringMatchKind kind, string text, string field) =>
            new(kind, kind == StringMatchKind.Exact ? text : NotEmpty(text, $"{path}.{field}", errors));

        switch (matcher.HeaderMatchSpecifierCase)
        {
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.ExactMatch:
                return ByText(Plain(StringMatchKind.Exact, matcher.ExactMatch, "exact_match"));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.PrefixMatch:
                return ByText(Plain(StringMatchKind.Prefix, matcher.PrefixMatch, "prefix_match"));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.SuffixMatch:
                return ByText(Plain(StringMatchKind.Suffix, matcher.SuffixMatch, "suffix_match"));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.ContainsMatch:
                return ByText(Plain(StringMatchKind.Contains, matcher.ContainsMatch, "contains_match"));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.SafeRegexMatch:
                return ByText(Regex(matcher.SafeRegexMatch, $"{path}.safe_regex_match", errors));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.StringMatch:
                return ByText(Text(matcher.StringMatch, $"{path}.string_match", errors));
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.PresentMatch:
                return new HeaderMatcher(name, HeaderMatchKind.Present, Invert: matcher.InvertMatch == matcher.PresentMatch);
            case Protos.Envoy.Route.HeaderMatcher.HeaderMatchSpecifierOneofCase.RangeMatch:
                var (start, end) = (matcher.RangeMatch.Start, matcher.RangeMatch.End);
                if (end < start)
                {
                    errors.Add($"{path}.range_match", $"starts at {start} and ends at {end}", "The end must not be before the start.");
                }

                return new HeaderMatcher(name, HeaderMatchKind.Range, null, start, end, matcher.InvertMatch, matcher.TreatMissingHeaderAsEmpty);
            default:
                errors.Add(path, "has no condition that is known here", "Set string_match, range_match or present_match.");
                return null;
        }

        HeaderMatcher? ByText(StringMatcher? text) => text is null ? null : new HeaderMatcher(name, HeaderMatchKind.Text, text, Invert: matcher.InvertMatch, MissingIsEmpty: matcher.TreatMissingHeaderAsEmpty);
    }

    public static HeaderMatcher? Query(QueryParameterMatcher matcher, string path, DecodeErrors errors)
    {
        if (matcher.Name.Length == 0)
        {
            errors.Add($"{path}.name", "is empty", "Name the query parameter.");
        }

        switch (matcher.QueryParameterMatchSpecifierCase)
        {
            case QueryParameterMatcher.QueryParameterMatchSpecifierOneofCase.StringMatch:
                return Text(matcher.StringMatch, $"{path}.string_match", errors) is { } text ? new HeaderMatcher(matcher.Name, HeaderMatchKind.Text, text) : null;
            case QueryParameterMatcher.QueryParameterMatchSpecifierOneofCase.PresentMatch:
                return new HeaderMatcher(matcher.Name, HeaderMatchKind.Present, Invert: !matcher.PresentMatch);
            default:
                // Envoy: a bare name asks for presence.
                return new HeaderMatcher(matcher.Name, HeaderMatchKind.Present);
        }
    }

    private static string NotEmpty(string text, string path, DecodeErrors errors)
    {
        if (text.Length == 0)
        {
            errors.Add(path, "is empty", "Give the text to compare with, or use present_match.");
        }

        return text;
    }
}
