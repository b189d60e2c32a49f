using System.Collections.Immutable;
using System.Globalization;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>What kinds of routes have in common.</summary>
internal static partial class RouteFields
{
    public const string GatewayGroup = "gateway.networking.k8s.io";

    public static ImmutableArray<ParentRefManifest> Parents(YamlMap spec, ManifestKey route)
    {
        var result = ImmutableArray.CreateBuilder<ParentRefManifest>();
        foreach (var parent in spec.Maps("parentRefs"))
        {
            var group = parent.Text("group") ?? (parent.Find("group") is null ? GatewayGroup : string.Empty);
            var kind = parent.Text("kind") ?? "Gateway";
            var name = parent.Text("name", required: true);
            var ns = parent.Text("namespace") ?? route.Namespace;
            var section = parent.Text("sectionName");
            var port = parent.Integer("port", 1, 65535);
            parent.Close();
            if (kind == "Service" && group.Length > 0)
            {
                parent.Problems.Refuse(parent.Node, $"{parent.Field("group")} is '{group}' for kind Service. Write group: \"\" (the core group).");
            }
            else if (kind == "Service" && name is not null)
            {
                result.Add(new ParentRefManifest(new ServiceName(ns, name), port, section, parent.Where) { Namespace = parent.Text("namespace") });
            }
            else if (kind == "Service" || kind == "Gateway")
            {
                continue; // Another implementation's Gateway: the same manifest may serve it.
            }
            else
            {
                parent.Problems.Note(parent.Node, $"{parent.Field("kind")} is '{kind}', to which nothing is attached here. Use kind: Service with group: \"\".");
            }
        }

        if (result.Count == 0 && !spec.Problems.Refused)
        {
            spec.Problems.Note(spec.Find("parentRefs") ?? spec.Node,
                "the route attaches to no Service and has no effect here. Add a parentRef with group: \"\", kind: Service and the Service's name.");
        }

        return result.ToImmutable();
    }

    public static void Hostnames(YamlMap spec)
    {
        if (spec.Texts("hostnames").Count > 0)
        {
            spec.Problems.Note(spec.Find("hostnames")!.Value,
                $"{spec.Field("hostnames")} has no meaning for a route that attaches to a Service and is ignored (Gateway API, GAMMA). Remove it.");
        }
    }

    /// <summary>What becomes of calls that have no valid backend (Gateway API).</summary>
    public static string Failure(ManifestKey route) => route.Kind switch
    {
        "GRPCRoute" => "fails as UNAVAILABLE",
        ConnectionRouteReader.TlsKind or ConnectionRouteReader.TcpKind => "is closed",
        _ => "is answered 500",
    };

    /// <summary>The part of a route that is the same for both kinds, with its rules.</summary>
    public static RouteManifest? Route(YamlMap root, ManifestKey key, ObjectMeta meta, Func<YamlMap, ManifestKey, ReadRule> readRule)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var parents = Parents(spec, key);
        Hostnames(spec);
        spec.Ignore("useDefaultGateways");
        var rules = spec.Maps("rules").Select((rule, i) =>
        {
            spec.Problems.Rule = i;
            return readRule(rule, key);
        }).ToImmutableArray();
        spec.Problems.Rule = null;
        if (rules.IsEmpty)
        {
            spec.Missing("rules", "Add at least one rule with backendRefs.");
        }

        spec.Close();
        return new RouteManifest(key, where, key.Kind == "GRPCRoute", meta.Created, parents, [.. rules.Select(r => r.Rule)])
        {
            Findings = [.. spec.Problems.Findings],
            BackendsWhere = [.. rules.Select(r => r.BackendsWhere)],
            Filters = [.. rules.Select(r => r.Filters)],
        };
    }

    /// <param name="answers">The rule needs no backend.</param>
    public static (ImmutableArray<BackendRef> Backends, ImmutableArray<string> Where) Backends(YamlMap rule, ManifestKey route, bool answers)
    {
        var backends = ImmutableArray.CreateBuilder<BackendRef>();
        var where = ImmutableArray.CreateBuilder<string>();
        foreach (var backend in rule.Maps("backendRefs"))
        {
            var group = backend.Text("group") ?? string.Empty;
            var kind = backend.Text("kind") ?? "Service";
            var name = backend.Text("name", required: true);
            var ns = backend.Text("namespace") ?? route.Namespace;
            var weight = backend.Integer("weight", 0, 1_000_000) ?? 1;
            var isService = kind == "Service" && group.Length == 0;
            var port = backend.Integer("port", 1, 65535, required: isService);
            var (request, response) = FilterReader.Backend(backend, route, out var broken);
            backend.Close();
            if (!isService)
            {
                backend.Problems.Find(backend.Node, RouteCondition.ResolvedRefs, RouteFinding.InvalidKind,
                    $"the backend is a {(group.Length == 0 ? kind : $"{group}/{kind}")}. Its share {Failure(route)}: use kind: Service (the default) without group.");
            }

            if (name is not null)
            {
                backends.Add(new BackendRef(new ServiceName(ns, name), port ?? 0, weight) { Refused = broken || !isService, RequestHeaders = request, ResponseHeaders = response });
                where.Add(backend.Where);
            }
        }

        if (backends.Count == 0 && !answers && !rule.Problems.Refused)
        {
            rule.Problems.Note(rule.Node, $"{rule.Field("backendRefs")} is empty: every {(route.Kind is ConnectionRouteReader.TlsKind or ConnectionRouteReader.TcpKind ? "connection" : "call")} of this rule {Failure(route)} (Gateway API). Add a backend.");
        }

        return (backends.ToImmutable(), where.ToImmutable());
    }

    /// <summary>Header or query conditions.</summary>
    /// <param name="firstCounts">Of names that are equal but for their case the first counts, as Gateway API wants it of routes; else the second is refused.</param>
    public static ImmutableArray<NameValueMatch> NameValues(YamlMap match, string key, bool lowerCase, bool firstCounts = false)
    {
        var result = ImmutableArray.CreateBuilder<NameValueMatch>();
        var written = new HashSet<string>(StringComparer.Ordinal);
        foreach (var item in match.Maps(key))
        {
            var type = item.Word("type", "Exact", "Exact", "RegularExpression");
            var name = item.Text("name", required: true);
            var value = item.Text("value", required: true);
            item.Close();
            if (name is not null && !TokenRegex().IsMatch(name))
            {
                item.Bad("name", name, "Use the characters of an HTTP token: letters, digits and !#$%&'*+-.^_`|~.");
            }

            if (type == "RegularExpression" && value is not null)
            {
                CheckRegex(item, "value", value);
            }

            if (name is null || value is null || type is null)
            {
                continue;
            }

            var compared = lowerCase ? name.ToLowerInvariant() : name;
            if (!written.Add(firstCounts ? name : compared))
            {
                item.Bad("name", name, "It stands twice in this match: give each name once.");
                continue;
            }

            if (result.Any(r => r.Name == compared))
            {
                // The schema's keys are exact, header names are not: the first counts (Gateway API).
                item.Problems.Note(item.Node, $"{item.Field("name")} is '{name}', and another condition of this match is on the same header: the names are equal but for their case. The first counts, this one is ignored. Remove one of them.");
                continue;
            }

            result.Add(new NameValueMatch(compared, value, type == "RegularExpression"));
        }

        return result.ToImmutable();
    }

    public static void CheckRegex(YamlMap map, string key, string expression)
    {
        try
        {
            _ = new Regex($@"\A(?:{expression})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            map.Bad(key, expression, $"Use a regular expression in RE2 syntax, without look-around and back-references ({e.Message.TrimEnd('.')}).");
        }
    }

    /// <summary>A Gateway API duration; zero is "none".</summary>
    public static TimeSpan? Duration(YamlMap map, string key)
    {
        if (map.Text(key) is not { } text)
        {
            return null;
        }

        if (!DurationRegex().IsMatch(text))
        {
            map.Bad(key, text, "Use up to four numbers of at most five digits with h, m, s or ms, such as 1s, 500ms or 1m30s.");
            return null;
        }

        var total = TimeSpan.Zero;
        foreach (Match part in DurationPartRegex().Matches(text))
        {
            var number = int.Parse(part.Groups[1].Value, CultureInfo.InvariantCulture);
            total += part.Groups[2].Value switch
            {
                "h" => TimeSpan.FromHours(number),
                "m" => TimeSpan.FromMinutes(number),
                "s" => TimeSpan.FromSeconds(number),
                _ => TimeSpan.FromMilliseconds(number),
            };
        }

        return total;
    }

    [GeneratedRegex(@"\A([0-9]{1,5}(h|m|s|ms)){1,4}\z")]
    private static partial Regex DurationRegex();

    [GeneratedRegex("([0-9]{1,5})(ms|h|m|s)")]
    private static partial Regex DurationPartRegex();

    [GeneratedRegex(@"\A[A-Za-z0-9!#$%&'*+\-.^_`|~]+\z")]
    private static partial Regex TokenRegex();
}

/// <param name="BackendsWhere">Where each backend stands.</param>
internal sealed record ReadRule(RouteRule Rule, ImmutableArray<string> BackendsWhere, RuleFiltersManifest Filters);
