using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>Reads a GRPCRoute (gateway.networking.k8s.io/v1). A method match becomes a path: <c>/service/method</c>.</summary>
internal static partial class GrpcRouteReader
{
    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta)
    {
        var where = root.Where;
        var spec = root.Map("spec", required: true);
        if (spec is null)
        {
            return null;
        }

        var parents = RouteFields.Parents(spec, key);
        RouteFields.Hostnames(spec);
        spec.Ignore("useDefaultGateways");
        var rules = ImmutableArray.CreateBuilder<RouteRule>();
        var backendsWhere = ImmutableArray.CreateBuilder<ImmutableArray<string>>();
        foreach (var rule in spec.Maps("rules"))
        {
            var name = rule.Text("name") ?? string.Empty;
            var matches = rule.Maps("matches").Select(ReadMatch).ToImmutableArray();
            var filtered = RouteFields.HasFilters(rule, "Every call of this rule", key);
            var (backends, whereBackends) = RouteFields.Backends(rule, key);
            if (rule.Find("sessionPersistence") is { } session)
            {
                rule.Problems.Note(session, $"{rule.Field("sessionPersistence")} is not supported yet and has no effect. Remove it.");
            }

            rule.Close();
            rules.Add(new RouteRule(name, matches, filtered ? [] : backends) { Where = rule.Where });
            backendsWhere.Add(filtered ? [] : whereBackends);
        }

        if (rules.Count == 0)
        {
            spec.Missing("rules", "Add at least one rule with backendRefs.");
        }

        spec.Close();
        return new RouteManifest(key, where, Grpc: true, meta.Created, parents, rules.ToImmutable()) { BackendsWhere = backendsWhere.ToImmutable() };
    }

    private static RuleMatch ReadMatch(YamlMap match)
    {
        var path = ReadMethod(match);
        var headers = RouteFields.NameValues(match, "headers", lowerCase: true);
        match.Close();
        return new RuleMatch(path, Method: null, headers, []);
    }

    private static PathMatch? ReadMethod(YamlMap match)
    {
        var map = match.Map("method");
        if (map is null)
        {
            return null;
        }

        var type = map.Word("type", "Exact", "Exact", "RegularExpression");
        var service = map.Text("service");
        var method = map.Text("method");
        map.Close();
        if (service is null && method is null)
        {
            map.Missing("service", "Give service, method or both.");
            return null;
        }

        if (type == "RegularExpression")
        {
            if (service is not null)
            {
                RouteFields.CheckRegex(map, "service", service);
            }

            if (method is not null)
            {
                RouteFields.CheckRegex(map, "method", method);
            }

            return new PathMatch(PathMatchKind.RegularExpression, $"/{Group(service)}/{Group(method)}");
        }

        if (service is not null && !ServiceRegex().IsMatch(service))
        {
            map.Bad("service", service, "Use a full protobuf service name such as shop.v1.Cart, or type: RegularExpression.");
        }

        if (method is not null && !MethodRegex().IsMatch(method))
        {
            map.Bad("method", method, "Use a protobuf method name such as GetCart, or type: RegularExpression.");
        }

        return (service, method) switch
        {
            (null, _) => new PathMatch(PathMatchKind.RegularExpression, $"/[^/]+/{method}"),
            (_, null) => new PathMatch(PathMatchKind.PathPrefix, $"/{service}"),
            _ => new PathMatch(PathMatchKind.Exact, $"/{service}/{method}"),
        };
    }

    private static string Group(string? expression) => expression is null ? "[^/]+" : $"(?:{expression})";

    [GeneratedRegex(@"\A\.?[A-Za-z_][A-Za-z_0-9]*(\.[A-Za-z_][A-Za-z_0-9]*)*\z")]
    private static partial Regex ServiceRegex();

    [GeneratedRegex(@"\A[A-Za-z_][A-Za-z_0-9]*\z")]
    private static partial Regex MethodRegex();
}
