using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Mesh.Config;
using Mesh.Protos.Envoy.Matcher;

namespace Mesh.Xds.Decoding;

/// <summary>An expression and what is put in its place, for hashes and paths.</summary>
internal static class TextRewriteDecoder
{
    /// <returns>Null when absent, or wrong, which is then noted.</returns>
    public static TextRewrite? Decode(RegexMatchAndSubstitute? given, string path, DecodeErrors errors)
    {
        if (given is null)
        {
            return null;
        }

        if (given.Pattern is null)
        {
            errors.Add($"{path}.pattern", "is not set", "Give the expression to replace.");
            return null;
        }

        // The same bounds and syntax as a route's expressions, but it need not match the whole value.
        if (MatcherDecoder.Regex(given.Pattern, $"{path}.pattern", errors) is null)
        {
            return null;
        }

        var expression = new Regex(given.Pattern.Regex, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        var replacement = Replacement(given.Substitution, expression.GetGroupNumbers().Length);
        if (replacement is null)
        {
            errors.Add($"{path}.substitution", $"is '{given.Substitution}'", @"After a backslash write another one, or the number of a group that the pattern has.");
            return null;
        }

        return new TextRewrite(expression, replacement);
    }

    /// <summary>RE2's <c>\1</c> in .NET's words; null when it names no group.</summary>
    private static string? Replacement(string substitution, int groups)
    {
        var text = new StringBuilder();
        for (var i = 0; i < substitution.Length; i++)
        {
            var c = substitution[i];
            if (c != '\\')
            {
                text.Append(c == '$' ? "$$" : c.ToString());
                continue;
            }

            i++;
            if (i < substitution.Length && substitution[i] == '\\')
            {
                text.Append('\\');
            }
            else if (i < substitution.Length && char.IsAsciiDigit(substitution[i]) && substitution[i] - '0' < groups)
            {
                text.Append(CultureInfo.InvariantCulture, $"${{{substitution[i]}}}");
            }
            else
            {
                return null;
            }
        }

        return text.ToString();
    }
}
