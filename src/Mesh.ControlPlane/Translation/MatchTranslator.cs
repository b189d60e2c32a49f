using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Path;
using Mesh.Protos.Envoy.Route;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes the conditions of a rule.</summary>
internal static class MatchTranslator
{
    /// <summary>One match; for gRPC peers sometimes two (they know no path_separated_prefix) or none (what no gRPC call can be).</summary>
    public static IEnumerable<RouteMatch> Translate(RuleMatch match, bool mesh)
    {
        // Every gRPC call is a POST without a query, and :method is no header that gRPC peers see.
        if (!mesh && (match.QueryParameters.Length > 0 || match.Method is not (null or "POST")))
        {
            yield break;
        }

        foreach (var result in Paths(match.Path, mesh))
        {
            if (mesh && match.Method is { } method)
            {
                result.Headers.Add(new HeaderMatcher { Name = ":method", ExactMatch = method });
            }

            result.Headers.AddRange(match.Headers.Select(Header));
            result.QueryParameters.AddRange(match.QueryParameters.Select(q => new QueryParameterMatcher
            {
                Name = q.Name,
                StringMatch = q.IsRegularExpression ? new StringMatcher { SafeRegex = Regex(q.Value) } : new StringMatcher { Exact = q.Value },
            }));
            yield return result;
        }
    }

    /// <remarks>exact_match and safe_regex_match: older gRPC peers refuse string_match.</remarks>
    public static HeaderMatcher Header(NameValueMatch header) => header.IsRegularExpression
        ? new HeaderMatcher { Name = header.Name, SafeRegexMatch = Regex(header.Value) }
        : new HeaderMatcher { Name = header.Name, ExactMatch = header.Value };

    private static RouteMatch[] Paths(PathMatch? path, bool mesh)
    {
        switch (path)
        {
            case { Kind: PathMatchKind.Exact }:
                return [new RouteMatch { Path = path.Value }];
            case { Kind: PathMatchKind.RegularExpression }:
                return [new RouteMatch { SafeRegex = Regex(path.Value) }];
            case { Kind: PathMatchKind.Template }:
                // gRPC peers know no templates.
                return [mesh ? new RouteMatch { PathMatchPolicy = Template(path.Value) } : new RouteMatch { SafeRegex = Regex(PathTemplateRegex.Of(path.Value)) }];
            default:
                // Whole segments: '/a' and '/a/' both take '/a' and '/a/b', not '/ab'.
                var prefix = path?.Value.TrimEnd('/') ?? string.Empty;
                return prefix.Length == 0 ? [new RouteMatch { Prefix = "/" }]
                    : mesh ? [new RouteMatch { PathSeparatedPrefix = prefix }]
                    : [new RouteMatch { Path = prefix }, new RouteMatch { Prefix = prefix + "/" }];
        }
    }

    private static TypedExtensionConfig Template(string template) =>
        new() { Name = "envoy.path.match.uri_template", TypedConfig = Any.Pack(new UriTemplateMatchConfig { PathTemplate = template }) };

    private static RegexMatcher Regex(string expression) => new() { GoogleRe2 = new Empty(), Regex = expression };
}
