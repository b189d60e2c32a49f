using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Reads an HTTPRoute (gateway.networking.k8s.io/v1) with <c>timeouts</c> (GEP-1742) and <c>retry</c> (GEP-1731).</summary>
internal static class HttpRouteReader
{
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    private static readonly string[] BadPathParts = ["//", "/./", "/../", "%2f", "%2F", "#"];

    public static Manifest? Read(YamlMap root, ManifestKey key, ObjectMeta meta) => RouteFields.Route(root, key, meta, ReadRule);

    private static ReadRule ReadRule(YamlMap rule, ManifestKey route)
    {
        var name = rule.Text("name") ?? string.Empty;
        var matches = rule.Maps("matches").Select(ReadMatch).ToImmutableArray();
        var filters = FilterReader.Rule(rule, matches, route);
        var (backends, backendsWhere) = RouteFields.Backends(rule, route, filters.Answers);
        var timeouts = rule.Map("timeouts");
        var request = timeouts is null ? null : RouteFields.Duration(timeouts, "request");
        var backendRequest = timeouts is null ? null : RouteFields.Duration(timeouts, "backendRequest");
        timeouts?.Close();
        if (request > TimeSpan.Zero && backendRequest > request)
        {
            timeouts!.Bad("backendRequest", timeouts.Text("backendRequest")!, $"It cannot be longer than timeouts.request ({timeouts.Text("request")}).");
        }

        var retry = ReadRetry(rule);
        var session = FilterReader.Session(rule);
        rule.Close();
        return new ReadRule(new RouteRule(name, matches, backends)
        {
            Where = rule.Where,
            RequestTimeout = request,
            BackendRequestTimeout = backendRequest,
            Retry = retry,
            Session = session,
        }, backendsWhere, filters);
    }

    public static RuleMatch ReadMatch(YamlMap match)
    {
        var path = ReadPath(match);
        var method = match.Find("method") is null ? null : match.Word("method", null, Methods);
        var headers = RouteFields.NameValues(match, "headers", lowerCase: true, firstCounts: true);
        var query = RouteFields.NameValues(match, "queryParams", lowerCase: false);
        match.Close();
        return new RuleMatch(path, method, headers, query);
    }

    private static PathMatch? ReadPath(YamlMap match)
    {
        var path = match.Map("path");
        if (path is null)
        {
            return null;
        }

        var type = path.Word("type", "PathPrefix", "Exact", "PathPrefix", "RegularExpression");
        var value = path.Text("value") ?? "/";
        path.Close();
        if (type == "RegularExpression")
        {
            RouteFields.CheckRegex(path, "value", value);
            return new PathMatch(PathMatchKind.RegularExpression, value);
        }

        if (!value.StartsWith('/'))
        {
            path.Bad("value", value, "Start it with '/'.");
        }
        else if (value.Contains('?', StringComparison.Ordinal))
        {
            path.Bad("value", value, "A path has no query: use queryParams.");
        }
        else if (Array.Find(BadPathParts, p => value.Contains(p, StringComparison.Ordinal)) is { } part)
        {
            path.Bad("value", value, $"It contains '{part}', which no request path has after normalisation.");
        }
        else if (value.EndsWith("/.", StringComparison.Ordinal) || value.EndsWith("/..", StringComparison.Ordinal))
        {
            path.Bad("value", value, "It ends in a dot segment, which no request path has after normalisation.");
        }

        return new PathMatch(type == "Exact" ? PathMatchKind.Exact : PathMatchKind.PathPrefix, value);
    }

    private static RuleRetry? ReadRetry(YamlMap rule)
    {
        var retry = rule.Map("retry");
        if (retry is null)
        {
            return null;
        }

        var attempts = retry.Integer("attempts", 0, 10);
        var backoff = RouteFields.Duration(retry, "backoff");
        var codes = ImmutableArray.CreateBuilder<int>();
        if (retry.Find("codes") is { } node)
        {
            foreach (var item in node.IsList ? node.Items : [node])
            {
                if (item.Plain is { } plain
                    && int.TryParse(plain, System.Globalization.CultureInfo.InvariantCulture, out var code) && code is >= 400 and <= 599)
                {
                    codes.Add(code);
                }
                else
                {
                    retry.Problems.Refuse(item, $"{retry.Field("codes")} has {YamlMap.Show(item)}. Write a list of status codes from 400 to 599.");
                }
            }
        }

        retry.Close();
        return new RuleRetry(attempts, backoff > TimeSpan.Zero ? backoff : null, [.. codes.Distinct().Order()]);
    }
}
