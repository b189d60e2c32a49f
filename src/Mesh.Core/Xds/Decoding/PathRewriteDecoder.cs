using Mesh.Config;
using Mesh.Protos.Envoy.Core;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Path;
using Mesh.Traffic;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>Shapes of paths and what becomes of paths.</summary>
internal static class PathRewriteDecoder
{
    /// <summary><c>path_match_policy</c>: a template (uri_template) is the one that is known.</summary>
    public static PathTemplate? Template(TypedExtensionConfig given, string path, DecodeErrors errors)
    {
        if (errors.Unpack<UriTemplateMatchConfig>(given.TypedConfig, $"{path}.typed_config") is not { } config)
        {
            return null;
        }

        try
        {
            return PathTemplate.Parse(config.PathTemplate);
        }
        catch (FormatException e)
        {
            errors.Add($"{path}.typed_config.path_template", $"is '{config.PathTemplate}', which is no template: {e.Message}", "Use '*', '**', {name}, {name=*} and {name=**}.");
            return null;
        }
    }

    /// <summary>At most one of the three; null when there is none.</summary>
    public static PathRewrite? OfRoute(Wire.RouteAction given, RouteMatch? match, string path, DecodeErrors errors)
    {
        if ((given.PrefixRewrite.Length > 0 ? 1 : 0) + (given.RegexRewrite is null ? 0 : 1) + (given.PathRewritePolicy is null ? 0 : 1) > 1)
        {
            errors.Add(path, "has more than one of prefix_rewrite, regex_rewrite and path_rewrite_policy", "Set one of them.");
            return null;
        }

        return given.PathRewritePolicy is { } policy ? ByTemplate(policy, match, $"{path}.path_rewrite_policy", errors)
            : given.RegexRewrite is not null ? Pattern(given.RegexRewrite, $"{path}.regex_rewrite", errors)
            : given.PrefixRewrite.Length > 0 ? new PathRewrite.Prefix(Plain(given.PrefixRewrite, $"{path}.prefix_rewrite", errors))
            : null;
    }

    public static PathRewrite? Pattern(RegexMatchAndSubstitute given, string path, DecodeErrors errors) =>
        TextRewriteDecoder.Decode(given, path, errors) is { } rewrite ? new PathRewrite.Pattern(rewrite) : null;

    public static string Plain(string text, string path, DecodeErrors errors)
    {
        if (text.AsSpan().ContainsAny(['\r', '\n', '\0', ' ', '#']))
        {
            errors.Add(path, $"is '{text}'", "No space, line break, NUL or '#': encode them.");
        }

        return text;
    }

    private static PathRewrite.Template? ByTemplate(TypedExtensionConfig given, RouteMatch? match, string path, DecodeErrors errors)
    {
        if (errors.Unpack<UriTemplateRewriteConfig>(given.TypedConfig, $"{path}.typed_config") is not { } config)
        {
            return null;
        }

        var (text, here) = (Plain(config.PathTemplateRewrite, $"{path}.typed_config.path_template_rewrite", errors), $"{path}.typed_config.path_template_rewrite");
        if (match is not { Template: { } template })
        {
            errors.Add(here, $"is '{text}', but the route matches by no template", "Match by path_match_policy, or rewrite otherwise.");
            return null;
        }

        if (!text.StartsWith('/') || text.Contains('*', StringComparison.Ordinal))
        {
            errors.Add(here, $"is '{text}'", "Start it with '/'; it has variables, but no '*'.");
        }

        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '}')
            {
                errors.Add(here, $"has a '}}' at {i} without its '{{'", "Write variables as {name}.");
                return null;
            }

            if (text[i] != '{')
            {
                continue;
            }

            var end = text.IndexOf('}', i);
            if (end < 0 || !template.Variables.Contains(text[(i + 1)..end]))
            {
                errors.Add(here, $"has at {i} a variable that '{template}' lacks, or that is not closed", $"It has {(template.Variables.Count == 0 ? "none" : string.Join(", ", template.Variables))}.");
                return null;
            }

            i = end;
        }

        return new PathRewrite.Template(text);
    }
}
