using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads <c>filters</c> and <c>sessionPersistence</c> of rules and backends. A filter that can't be done is told, and its calls fail: it is never silently left out.</summary>
internal static class FilterReader
{
    /// <summary>Ours: <see cref="DirectResponseReader"/>.</summary>
    public const string DirectResponseKind = "DirectResponse";

    private static readonly string[] _once = ["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite", "ExtensionRef"];

    /// <param name="matches">Null when the route has no paths (GRPCRoute).</param>
    public static RuleFiltersManifest Rule(YamlMap rule, ImmutableArray<RuleMatch>? matches, ManifestKey route)
    {
        var filters = RuleFilters.None;
        var mirrors = ImmutableArray.CreateBuilder<(RequestMirror, string)>();
        (string Name, string Where)? direct = null;
        var broken = false;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var filter in rule.Maps("filters"))
        {
            var type = filter.Text("type", required: true) ?? string.Empty;
            if (!seen.Add(type) && Array.IndexOf(_once, type) >= 0)
            {
                filter.Bad("type", type, "It stands twice in this rule: give it once.");
            }

            switch (type)
            {
                case "RequestHeaderModifier":
                    filters = filters with { RequestHeaders = FilterFields.Headers(filter, "requestHeaderModifier") };
                    break;
                case "ResponseHeaderModifier":
                    filters = filters with { ResponseHeaders = FilterFields.Headers(filter, "responseHeaderModifier") };
                    break;
                case "RequestRedirect" when matches is not null:
                    filters = filters with { Redirect = FilterFields.Redirect(filter) };
                    CheckPrefix(filter, filters.Redirect.Path, matches.Value);
                    break;
                case "URLRewrite" when matches is not null:
                    filters = filters with { Rewrite = FilterFields.Rewrite(filter) };
                    CheckPrefix(filter, filters.Rewrite.Path, matches.Value);
                    break;
                case "RequestMirror":
                    if (FilterFields.Mirror(filter, route) is { } mirror)
                    {
                        mirrors.Add(mirror);
                    }

                    break;
                case "ExtensionRef":
                    direct = Extension(filter, route, ref broken);
                    break;
                default:
                    broken |= NotSupported(rule, filter, type, "Every call of this rule", route);
                    continue;
            }

            filter.Close();
        }

        if (filters is { Redirect: not null, Rewrite: not null } || (direct is not null && (filters.Redirect ?? (object?)filters.Rewrite) is not null))
        {
            rule.Problems.Refuse(rule.Find("filters")!.Value, $"{rule.Field("filters")} has more than one of RequestRedirect, URLRewrite and {DirectResponseKind}. Keep one of them.");
        }

        if (filters.Redirect is not null && rule.Find("backendRefs") is { } backends)
        {
            rule.Problems.Refuse(backends, $"{rule.Field("backendRefs")} stands beside a RequestRedirect, which sends nothing there. Remove one of the two.");
        }

        return new RuleFiltersManifest(filters, mirrors.ToImmutable(), direct, broken);
    }

    /// <summary>Of a backend: header changes alone.</summary>
    /// <param name="broken">It has another, so that its share fails.</param>
    public static (HeaderModifier? Request, HeaderModifier? Response) Backend(YamlMap backend, ManifestKey route, out bool broken)
    {
        (HeaderModifier? request, HeaderModifier? response) = (null, null);
        broken = false;
        foreach (var filter in backend.Maps("filters"))
        {
            var type = filter.Text("type", required: true) ?? string.Empty;
            switch (type)
            {
                case "RequestHeaderModifier" when request is null:
                    request = FilterFields.Headers(filter, "requestHeaderModifier");
                    break;
                case "ResponseHeaderModifier" when response is null:
                    response = FilterFields.Headers(filter, "responseHeaderModifier");
                    break;
                case "RequestHeaderModifier" or "ResponseHeaderModifier":
                    filter.Bad("type", type, "It stands twice in this backend: give it once.");
                    break;
                default:
                    broken |= NotSupported(backend, filter, type, "This backend's share", route);
                    continue;
            }

            filter.Close();
        }

        return (request, response);
    }

    /// <summary>GEP-1619.</summary>
    public static SessionPersistence? Session(YamlMap rule)
    {
        if (rule.Map("sessionPersistence") is not { } map)
        {
            return null;
        }

        var byHeader = map.Word("type", "Cookie", "Cookie", "Header") == "Header";
        var name = map.Text("sessionName");
        var absolute = RouteFields.Duration(map, "absoluteTimeout");
        if (map.Find("idleTimeout") is { } idle)
        {
            map.Problems.Find(idle, RouteCondition.Accepted, RouteFinding.UnsupportedValue, $"{map.Field("idleTimeout")} has no effect: a session lasts as long as its client keeps it. Remove it.", fails: false);
        }

        var cookie = map.Map("cookieConfig");
        var permanent = cookie?.Word("lifetimeType", "Session", "Session", "Permanent") == "Permanent";
        cookie?.Close();
        map.Close();
        if (name is { Length: 0 or > 128 } || (name is not null && Mesh.Xds.Decoding.HeaderChangesDecoder.WhyNot(name) is not null))
        {
            map.Bad("sessionName", name, "Use at most 128 characters of an HTTP token, and no name that HTTP or the mesh itself uses.");
        }

        if (byHeader && cookie is not null)
        {
            map.Problems.Refuse(cookie.Node, $"{map.Field("cookieConfig")} belongs to type: Cookie. Remove it.");
        }

        if (permanent && !(absolute > TimeSpan.Zero))
        {
            map.Missing("absoluteTimeout", "A Permanent cookie needs it.");
        }
        else if (!permanent && absolute > TimeSpan.Zero)
        {
            map.Problems.Note(map.Find("absoluteTimeout")!.Value, $"{map.Field("absoluteTimeout")} has an effect with cookieConfig.lifetimeType: Permanent only: it is the cookie's lifetime. Remove it.");
        }

        return new SessionPersistence(byHeader, name ?? (byHeader ? "x-session" : "session"), permanent ? absolute : null);
    }

    private static bool NotSupported(YamlMap owner, YamlMap filter, string type, string share, ManifestKey route)
    {
        owner.Problems.Find(filter.Node, RouteCondition.Accepted, RouteFinding.UnsupportedValue, $"{owner.Field("filters")} has a {(type.Length == 0 ? "?" : type)}, which is not supported here. {share} {RouteFields.Failure(route)} until it is removed.");
        return true;
    }

    private static (string Name, string Where)? Extension(YamlMap filter, ManifestKey route, ref bool broken)
    {
        if (filter.Map("extensionRef", required: true) is not { } map)
        {
            return null;
        }

        var (group, kind, name) = (map.Text("group", required: true), map.Text("kind", required: true), map.Text("name", required: true));
        map.Close();
        if (group is null || kind is null || name is null)
        {
            return null;
        }

        if (group != DirectResponseReader.Group || kind != DirectResponseKind)
        {
            broken = true;
            map.Problems.Find(map.Node, RouteCondition.Accepted, RouteFinding.UnsupportedValue, $"the filter is a {group}/{kind}, which is not known here. Every call of this rule {RouteFields.Failure(route)}: use {DirectResponseReader.Group}/{DirectResponseKind}.");
            return null;
        }

        return (name, map.Where);
    }

    /// <summary>Gateway API: what is replaced must be clear.</summary>
    private static void CheckPrefix(YamlMap filter, PathModifier? path, ImmutableArray<RuleMatch> matches)
    {
        if (path is { IsPrefix: true } && !(matches.IsEmpty || (matches is [var only] && only.Path is null or { Kind: PathMatchKind.PathPrefix })))
        {
            filter.Problems.Refuse(filter.Node, "path.type is 'ReplacePrefixMatch', but the rule has not exactly one match of type PathPrefix. Split the rule, or use ReplaceFullPath.");
        }
    }
}

/// <summary>The filters of a rule as far as its own file tells.</summary>
/// <param name="Mirrors">With where each stands.</param>
/// <param name="Direct">Name of the DirectResponse in the route's namespace, and where it is named.</param>
/// <param name="Broken">One of them can't be done: every call fails.</param>
internal sealed record RuleFiltersManifest(RuleFilters Filters, ImmutableArray<(RequestMirror Mirror, string Where)> Mirrors, (string Name, string Where)? Direct, bool Broken)
{
    /// <summary>No backend is asked.</summary>
    public bool Answers => Filters.Redirect is not null || Direct is not null;
}
