using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Mesh.Config;
using Mesh.Protos.Envoy.Matcher;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>What a call's hash is made of (gRFC A42). Cookies, addresses and query parameters are skipped, as gRPC does.</summary>
internal static class HashPolicyDecoder
{
    public static IReadOnlyList<HashPolicy> Decode(IReadOnlyList<Wire.RouteAction.Types.HashPolicy> given, string path, DecodeErrors errors)
    {
        List<HashPolicy>? policies = null;
        for (var i = 0; i < given.Count; i++)
        {
            if (One(given[i], $"{path}[{i}]", errors) is { } policy)
            {
                (policies ??= []).Add(policy);
            }
        }

        return policies ?? (IReadOnlyList<HashPolicy>)[];
    }

    private static HashPolicy? One(Wire.RouteAction.Types.HashPolicy given, string path, DecodeErrors errors)
    {
        switch (given.PolicySpecifierCase)
        {
            case Wire.RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.Header:
                if (given.Header.HeaderName.Length == 0)
                {
                    errors.Add($"{path}.header.header_name", "is empty", "Name the header.");
                }

                return new HashPolicy(given.Header.HeaderName.ToLowerInvariant(), given.Terminal)
                {
                    Rewrite = Rewrite(given.Header.RegexRewrite, $"{path}.header.regex_rewrite", errors),
                };
            case Wire.RouteAction.Types.HashPolicy.PolicySpecifierOneofCase.FilterState:
                return given.FilterState.Key == "io.grpc.channel_id" ? new HashPolicy(null, given.Terminal) : null;
            default:
                return null;
        }
    }

    private static TextRewrite? Rewrite(RegexMatchAndSubstitute? given, string path, DecodeErrors errors)
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
