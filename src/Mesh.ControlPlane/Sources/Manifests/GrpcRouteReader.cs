using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads a GRPCRoute (gateway.networking.k8s.io/v1). A method match becomes a path: <c>/service/method</c>.</summary>
internal static partial class GrpcRouteReader
{
    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta) => RouteFields.Route(root, key, meta, ReadRule);

    private static ReadRule ReadRule(YamlMap rule, ManifestKey route)
    {
        var name = rule.Text("name") ?? string.Empty;
        var matches = rule.Maps("matches").Select(ReadMatch).ToImmutableArray();
        var filters = FilterReader.Rule(rule, matches: null, route);
        var (backends, backendsWhere) = RouteFields.Backends(rule, route, filters.Answers);
        var session = FilterReader.Session(rule);
        rule.Close();
        return new ReadRule(new RouteRule(name, matches, backends) { Where = rule.Where, Session = session }, backendsWhere, filters);
    }

    private static RuleMatch ReadMatch(YamlMap match)
    {
        var path = ReadMethod(match);
        var headers = RouteFields.NameValues(match, "headers", lowerCase: true, firstCounts: true);
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
