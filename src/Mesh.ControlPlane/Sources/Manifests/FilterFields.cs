using System.Buffers;
using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>The single fields of the filters of HTTPRoute and GRPCRoute.</summary>
internal static class FilterFields
{
    // The limits of the API's schema.
    private const int MaxHeaders = 16;
    private const int MaxValue = 4096;
    private const int MaxPath = 1024;
    private static readonly SearchValues<char> _noPath = SearchValues.Create("?# \r\n\0");

    public static HeaderModifier Headers(YamlMap filter, string key)
    {
        var map = filter.Map(key, required: true);
        if (map is null)
        {
            return new HeaderModifier([], [], []);
        }

        var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        var set = Values(map, "set", names);
        var add = Values(map, "add", names);
        var remove = ImmutableArray.CreateBuilder<string>();
        foreach (var (name, node, path) in map.Texts("remove"))
        {
            CheckName(map.Problems, node, path, name, names);
            remove.Add(name);
        }

        map.Close();
        return new HeaderModifier(set, add, remove.ToImmutable());
    }

    public static RequestRedirect Redirect(YamlMap filter)
    {
        var map = filter.Map("requestRedirect", required: true);
        if (map is null)
        {
            return new RequestRedirect(302, null, null, null, null);
        }

        var scheme = map.Find("scheme") is null ? null : map.Word("scheme", null, "http", "https");
        var hostname = Hostname(map);
        var path = Path(map);
        var port = map.Integer("port", 1, 65535);
        var status = map.Integer("statusCode", 300, 399) ?? 302;
        if (status is not (301 or 302 or 303 or 307 or 308))
        {
            map.Bad("statusCode", $"{status}", "Use 301, 302, 303, 307 or 308.");
        }

        map.Close();
        return new RequestRedirect(status, scheme, hostname, port, path);
    }

    public static UrlRewrite Rewrite(YamlMap filter)
    {
        var map = filter.Map("urlRewrite", required: true);
        if (map is null)
        {
            return new UrlRewrite(null, null);
        }

        var rewrite = new UrlRewrite(Hostname(map), Path(map));
        map.Close();
        return rewrite;
    }

    /// <returns>Null when it lacks what it needs, or its backend is none that can be used; the latter leaves the rule in force (Gateway API).</returns>
    public static (RequestMirror Mirror, string Where)? Mirror(YamlMap filter, ManifestKey route)
    {
        var map = filter.Map("requestMirror", required: true);
        var backend = map?.Map("backendRef", required: true);
        if (map is null || backend is null)
        {
            return null;
        }

        var (group, kind) = (backend.Text("group") ?? string.Empty, backend.Text("kind") ?? "Service");
        var name = backend.Text("name", required: true);
        var ns = backend.Text("namespace") ?? route.Namespace;
        var isService = kind == "Service" && group.Length == 0;
        var port = backend.Integer("port", 1, 65535, required: isService);
        backend.Close();
        var share = Share(map);
        map.Close();
        if (!isService)
        {
            backend.Problems.Find(backend.Node, RouteCondition.ResolvedRefs, RouteFinding.InvalidKind, $"the mirror is a {(group.Length == 0 ? kind : $"{group}/{kind}")}. Nothing is copied to it: use kind: Service (the default) without group.", fails: false);
        }

        return name is null || port is null || !isService ? null : (new RequestMirror(new BackendRef(new ServiceName(ns, name), port.Value, 1), share), backend.Where);
    }

    /// <summary>An absolute path without query, as far as one can tell.</summary>
    private static PathModifier? Path(YamlMap owner)
    {
        if (owner.Map("path") is not { } map)
        {
            return null;
        }

        var type = map.Word("type", null, "ReplaceFullPath", "ReplacePrefixMatch");
        var key = type == "ReplacePrefixMatch" ? "replacePrefixMatch" : "replaceFullPath";
        var value = type is null ? string.Empty : map.Text(key, required: true) ?? string.Empty;
        if (type is null)
        {
            map.Ignore("replaceFullPath", "replacePrefixMatch");
        }

        map.Close();
        if (value.Length > MaxPath || value.AsSpan().ContainsAny(_noPath))
        {
            map.Bad(key, value, $"Use a path of at most {MaxPath} characters, without query, '#' and space.");
        }

        return new PathModifier(type == "ReplacePrefixMatch", value.StartsWith('/') ? value : "/" + value);
    }

    private static string? Hostname(YamlMap map)
    {
        var hostname = map.Text("hostname");
        if (hostname is not null && !Names.IsSubdomain(hostname))
        {
            map.Bad("hostname", hostname, Names.SubdomainRule);
        }

        return hostname;
    }

    private static ImmutableArray<NamedValue> Values(YamlMap map, string key, HashSet<string> names)
    {
        var result = ImmutableArray.CreateBuilder<NamedValue>();
        var written = new List<string>();
        foreach (var item in map.Maps(key))
        {
            var name = item.Text("name", required: true);
            var value = item.Text("value", required: true);
            item.Close();
            if (name is null || value is null)
            {
                continue;
            }

            if (!written.Contains(name) && written.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                // The schema's keys are exact, header names are not: the first counts (Gateway API).
                item.Problems.Note(item.Node, $"{item.Field("name")} is '{name}', and another entry of '{key}' is about the same header: the names are equal but for their case. The first counts, this one is ignored. Remove one of them.");
                continue;
            }

            written.Add(name);
            CheckName(item.Problems, item.Find("name")!.Value, item.Field("name"), name, names);
            if (value.Length is 0 or > MaxValue || value.AsSpan().ContainsAny('\r', '\n', '\0'))
            {
                item.Bad("value", value, $"Use 1–{MaxValue} characters on one line.");
            }

            result.Add(new NamedValue(name.ToLowerInvariant(), value));
        }

        return result.ToImmutable();
    }

    private static void CheckName(ProblemList problems, ManifestNode node, string field, string name, HashSet<string> names)
    {
        if (HeaderChangesDecoder.WhyNot(name) is { } why)
        {
            problems.Refuse(node, $"{field} is '{name}', which {why}.");
        }
        else if (!names.Add(name))
        {
            problems.Refuse(node, $"{field} is '{name}'. It stands twice in this filter: give each header once.");
        }
        else if (names.Count == MaxHeaders + 1)
        {
            problems.Refuse(node, $"{field} is the header number {names.Count}. A filter takes at most {MaxHeaders}.");
        }
    }

    /// <summary>Parts of a million; all without one.</summary>
    private static int Share(YamlMap map)
    {
        var percent = map.Integer("percent", 0, 100);
        if (map.Map("fraction") is not { } fraction)
        {
            return (percent ?? 100) * 10_000;
        }

        if (percent is not null)
        {
            map.Bad("percent", $"{percent}", "Give percent or fraction, not both.");
        }

        var numerator = fraction.Integer("numerator", 0, int.MaxValue, required: true) ?? 0;
        var denominator = fraction.Integer("denominator", 1, int.MaxValue) ?? 100;
        fraction.Close();
        if (numerator > denominator)
        {
            fraction.Bad("numerator", $"{numerator}", $"It cannot be more than the denominator ({denominator}).");
            return 0;
        }

        return (int)Math.Round(numerator * 1_000_000d / denominator);
    }
}
