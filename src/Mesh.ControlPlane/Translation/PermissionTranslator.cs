using System.Collections.Immutable;
using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Model.Policies;
using Mesh.Protos.Envoy.Matcher;
using Mesh.Protos.Envoy.Rbac;
using HeaderMatcher = Mesh.Protos.Envoy.Route.HeaderMatcher;

namespace Mesh.ControlPlane.Translation;

/// <summary>Writes what is asked for, as RBAC permissions.</summary>
/// <remarks>
/// Doubt falls on the safe side: ASP.NET's routing ignores case and a slash at the end, so a Deny does too; an Allow takes the exact text. Header values of several lines reach some engines
/// joined by commas: a Deny finds its value among others. Ports are settled here, each listener being of one port.
/// For servers that are not ours every text is an expression in one group, without switches: it is the one spelling that all of them read alike (docs/foreign-servers.md).
/// </remarks>
internal static class PermissionTranslator
{
    public static Permission Anything => new() { Any = true };

    /// <summary>In force, and never true.</summary>
    public static Permission Nothing => new() { NotRule = Anything };

    /// <summary>One entry of <c>to</c>; null when no request there can match it.</summary>
    public static Permission? Of(RequestMatch to, bool isAllow, int port, RuleAudience audience)
    {
        if (!to.Ports.IsEmpty && !to.Ports.Contains(port))
        {
            return null;
        }

        if (!audience.IsHttp)
        {
            return to.IsHttp && isAllow ? null : Anything;
        }

        var all = new List<Permission>();
        if (!to.Methods.IsEmpty)
        {
            if (audience.IsMesh)
            {
                AddAny(all, to.Methods.Select(m => Method(m, isAllow)));
            }
            else if (!to.Methods.Contains("POST"))
            {
                return null; // Every gRPC call is one.
            }
        }

        AddAny(all, to.Paths.SelectMany(p => Path(p, isAllow, audience)));
        AddAny(all, to.Grpc.SelectMany(g => Path(g.Method is null ? $"/{g.Service}/*" : $"/{g.Service}/{g.Method}", isAllow, audience)));
        AddAny(all, to.Hosts.Select(h => Host(h, isAllow, audience)));
        all.AddRange(to.Headers.Select(h => new Permission { Header = Header(h, isAllow) }));
        return all.Count switch { 0 => Anything, 1 => all[0], _ => And(all) };
    }

    /// <summary>The probes that a workload is asked; null when there are none that could come so.</summary>
    public static Permission? Probes(ImmutableArray<Probe> probes, RuleAudience audience)
    {
        if (!audience.IsHttp)
        {
            return null;
        }

        Permission[] each = [.. probes.Where(p => audience.IsMesh || p.Grpc).Select(p => And(
            [ByPath(audience.IsMesh ? new StringMatcher { Exact = p.Path } : Regex(Re2.Literal(p.Path))), .. audience.IsMesh ? (Permission[])[Method(p.Grpc ? "POST" : "GET", isAllow: true)] : []]))];
        return each.Length == 0 ? null : Or(each);
    }

    public static Permission And(IReadOnlyList<Permission> permissions)
    {
        if (permissions is [var one])
        {
            return one;
        }

        var set = new Permission.Types.Set();
        set.Rules.AddRange(permissions);
        return new Permission { AndRules = set };
    }

    public static Permission Or(IReadOnlyList<Permission> permissions)
    {
        if (permissions is [var one])
        {
            return one;
        }

        var set = new Permission.Types.Set();
        set.Rules.AddRange(permissions);
        return new Permission { OrRules = set };
    }

    private static void AddAny(List<Permission> all, IEnumerable<Permission> alternatives)
    {
        Permission[] each = [.. alternatives];
        if (each.Length > 0)
        {
            all.Add(Or(each));
        }
    }

    private static Permission Method(string method, bool isAllow) => new()
    {
        Header = isAllow
            ? new HeaderMatcher { Name = ":method", ExactMatch = method }
            : new HeaderMatcher { Name = ":method", StringMatch = new StringMatcher { Exact = method, IgnoreCase = true } },
    };

    private static IEnumerable<Permission> Path(string path, bool isAllow, RuleAudience audience)
    {
        if (path == "/*")
        {
            return [Anything];
        }

        if (!audience.IsMesh)
        {
            return [ByPath(Regex(Expression(path, isAllow)))];
        }

        // Rules stand as a path goes over the wire; our servers see it decoded.
        path = Uri.UnescapeDataString(path);

        var below = path.EndsWith("/*", StringComparison.Ordinal);
        var start = below ? path[..^2] : path;
        if (start.Contains('*', StringComparison.Ordinal))
        {
            var expression = Re2.Segments(isAllow ? start : start.TrimEnd('/'));
            return [ByPath(Regex(isAllow ? expression + (below ? "/.+" : string.Empty) : $"(?i){expression}{(below ? "(/.*)?" : "/?")}"))];
        }

        if (isAllow)
        {
            return [below ? Below(start + "/") : ByPath(new StringMatcher { Exact = path })];
        }

        start = start.TrimEnd('/');
        Permission[] itself = start.Length == 0 ? [] : [ByPath(new StringMatcher { Exact = start, IgnoreCase = true })];
        return [.. itself, ByPath(below ? new StringMatcher { Prefix = start + "/", IgnoreCase = true } : new StringMatcher { Exact = start + "/", IgnoreCase = true })];
    }

    private static string Expression(string path, bool isAllow)
    {
        var below = path.EndsWith("/*", StringComparison.Ordinal);
        var start = below ? path[..^2] : path;
        return isAllow ? Re2.Segments(start) + (below ? "/.+" : string.Empty)
            : Re2.Segments(start.TrimEnd('/'), anyCase: true) + (below ? "(?:/.*)?" : "/?");
    }

    /// <remarks>gRPC's :authority has the port that was called.</remarks>
    private static Permission Host(string host, bool isAllow, RuleAudience audience) => new()
    {
        // Our servers see it in lower case, without port and final dot.
        Header = audience.IsMesh ? new HeaderMatcher { Name = ":authority", ExactMatch = host }
            : new HeaderMatcher { Name = ":authority", SafeRegexMatch = Expression((isAllow ? Re2.Literal(host) : Re2.AnyCase(host) + @"\.?") + "(:[0-9]+)?") },
    };

    private static HeaderMatcher Header(HeaderCondition header, bool isAllow)
    {
        var value = header.Value;
        return (header.Type, isAllow) switch
        {
            (HeaderConditionType.Present, _) => new HeaderMatcher { Name = header.Name, PresentMatch = true },
            (HeaderConditionType.Exact, true) => new HeaderMatcher { Name = header.Name, ExactMatch = value },
            (HeaderConditionType.Prefix, true) => new HeaderMatcher { Name = header.Name, PrefixMatch = value },
            (HeaderConditionType.Suffix, true) => new HeaderMatcher { Name = header.Name, SuffixMatch = value },
            (HeaderConditionType.RegularExpression, true) => Among(value, string.Empty, string.Empty),
            (HeaderConditionType.Exact, _) => Among(Re2.Literal(value), Before, After),
            (HeaderConditionType.Prefix, _) => Among(Re2.Literal(value), Before, ".*"),
            (HeaderConditionType.Suffix, _) => Among(Re2.Literal(value), ".*", After),
            _ => Among(Re2.Group(value), Before, After),
        };

        HeaderMatcher Among(string expression, string before, string after) => new() { Name = header.Name, SafeRegexMatch = Expression(before + expression + after) };
    }

    private const string Before = "(?:.*,)? *";
    private const string After = " *(?:,.*)?";

    /// <summary>Not the prefix itself: routing takes <c>/items/</c> for <c>/items</c>, which is not below it.</summary>
    private static Permission Below(string prefix)
    {
        var both = new Permission.Types.Set();
        both.Rules.Add(ByPath(new StringMatcher { Prefix = prefix }));
        both.Rules.Add(new Permission { NotRule = ByPath(new StringMatcher { Exact = prefix }) });
        return new Permission { AndRules = both };
    }

    private static Permission ByPath(StringMatcher path) => new() { UrlPath = new PathMatcher { Path = path } };

    /// <summary>What a server that is not ours takes for a route's: the exact text.</summary>
    /// <returns>Null when no gRPC call can be it.</returns>
    public static Permission? OfForeign(RuleMatch match)
    {
        if (match.QueryParameters.Length > 0 || match.Method is not (null or "POST"))
        {
            return null;
        }

        var all = new List<Permission>();
        if (match.Path is { IsEverything: false } path)
        {
            all.Add(ByPath(Regex(path.Kind switch
            {
                PathMatchKind.Exact => Re2.Literal(path.Value),
                PathMatchKind.RegularExpression => path.Value,
                PathMatchKind.Template => PathTemplateRegex.Of(path.Value),
                _ => Re2.Literal(path.Value.TrimEnd('/')) + "(?:/.*)?",
            })));
        }

        all.AddRange(match.Headers.Select(h => new Permission
        {
            Header = h.IsRegularExpression ? new HeaderMatcher { Name = h.Name, SafeRegexMatch = Expression(h.Value) } : new HeaderMatcher { Name = h.Name, ExactMatch = h.Value },
        }));
        return all.Count == 0 ? Anything : And(all);
    }

    private static StringMatcher Regex(string expression) => new() { SafeRegex = Expression(expression) };

    private static RegexMatcher Expression(string expression) => new() { GoogleRe2 = new Empty(), Regex = Re2.Group(expression) };
}
