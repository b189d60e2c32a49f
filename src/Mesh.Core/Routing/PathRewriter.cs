using System.Text;
using Mesh.Config;
using Mesh.Traffic;

namespace Mesh.Routing;

/// <summary>Makes the path that a route wants out of the one that it took. Immutable and thread-safe.</summary>
internal static class PathRewriter
{
    /// <summary>The new path without query, with its leading slash. It may bring a query of its own along (Envoy).</summary>
    /// <param name="path">Without query; the route took it.</param>
    public static string Rewrite(PathRewrite rewrite, RouteMatch match, string path)
    {
        var rewritten = rewrite switch
        {
            PathRewrite.Full full => full.Path,
            PathRewrite.Prefix prefix => string.Concat(prefix.Replacement, path.AsSpan(TakenBy(match, path))),
            PathRewrite.Pattern pattern => pattern.Rewrite.Expression.Replace(path, pattern.Rewrite.Replacement),
            PathRewrite.Template template => Fill(template.Text, match.Template!, path),
            _ => path,
        };
        return rewritten.StartsWith('/') ? rewritten : "/" + rewritten;
    }

    /// <summary>How much of the path the route's condition took: of other conditions than prefixes that is all of it (Envoy).</summary>
    private static int TakenBy(RouteMatch match, string path) => match switch
    {
        { Path: { Kind: StringMatchKind.Prefix or StringMatchKind.PathPrefix } prefix } => Math.Min(prefix.Text.Length, path.Length),
        { Path: null, Template: null } => Math.Min(1, path.Length),
        _ => path.Length,
    };

    /// <summary>Every <c>{name}</c> in the text is a variable of the template: the decoder saw to it.</summary>
    private static string Fill(string text, PathTemplate template, string path)
    {
        var values = template.Capture(path);
        if (values is null)
        {
            return path;
        }

        var result = new StringBuilder(text.Length + path.Length);
        for (var i = 0; i < text.Length;)
        {
            var open = text.IndexOf('{', i);
            if (open < 0)
            {
                result.Append(text, i, text.Length - i);
                break;
            }

            var close = text.IndexOf('}', open);
            result.Append(text, i, open - i);
            for (var v = 0; v < values.Length; v++)
            {
                if (text.AsSpan(open + 1, close - open - 1).SequenceEqual(template.Variables[v]))
                {
                    result.Append(values[v]);
                    break;
                }
            }

            i = close + 1;
        }

        return result.ToString();
    }
}
