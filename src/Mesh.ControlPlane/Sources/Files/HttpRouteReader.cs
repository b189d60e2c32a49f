using System.Collections.Immutable;
using Mesh.ControlPlane.Model;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.ControlPlane.Sources.Files;

/// <summary>Reads an HTTPRoute (gateway.networking.k8s.io/v1) with <c>timeouts</c> (GEP-1742) and <c>retry</c> (GEP-1731).</summary>
internal static class HttpRouteReader
{
    private static readonly string[] Methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    private static readonly string[] BadPathParts = ["//", "/./", "/../", "%2f", "%2F", "#"];

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
            var (read, backends) = ReadRule(rule, key);
            rules.Add(read);
            backendsWhere.Add(backends);
        }

        if (rules.Count == 0)
        {
            spec.Missing("rules", "Add at least one rule with backendRefs.");
        }

        spec.Close();
        return new RouteManifest(key, where, Grpc: false, meta.Created, parents, rules.ToImmutable()) { BackendsWhere = backendsWhere.ToImmutable() };
    }

    private static (RouteRule Rule, ImmutableArray<string> Backends) ReadRule(YamlMap rule, ManifestKey route)
    {
        var name = rule.Text("name") ?? string.Empty;
        var matches = rule.Maps("matches").Select(ReadMatch).ToImmutableArray();
        var filtered = RouteFields.HasFilters(rule, "Every call of this rule", route);
        var (backends, backendsWhere) = RouteFields.Backends(rule, route);
        var timeouts = rule.Map("timeouts");
        var request = timeouts is null ? null : RouteFields.Duration(timeouts, "request");
        var backendRequest = timeouts is null ? null : RouteFields.Duration(timeouts, "backendRequest");
        timeouts?.Close();
        if (request > TimeSpan.Zero && backendRequest > request)
        {
            timeouts!.Bad("backendRequest", timeouts.Text("backendRequest")!, $"It cannot be longer than timeouts.request ({timeouts.Text("request")}).");
        }

        var retry = ReadRetry(rule);
        if (rule.Find("sessionPersistence") is { } session)
        {
            rule.Problems.Note(session, $"{rule.Field("sessionPersistence")} is not supported yet and has no effect. Remove it.");
        }

        rule.Close();
        return (new RouteRule(name, matches, filtered ? [] : backends)
        {
            Where = rule.Where,
            RequestTimeout = request,
            BackendRequestTimeout = backendRequest,
            Retry = retry,
        }, filtered ? [] : backendsWhere);
    }

    public static RuleMatch ReadMatch(YamlMap match)
    {
        var path = ReadPath(match);
        var method = match.Find("method") is null ? null : match.Word("method", null, Methods);
        var headers = RouteFields.NameValues(match, "headers", lowerCase: true);
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
            foreach (var item in (node as YamlSequenceNode)?.Children ?? [node])
            {
                if (item is YamlScalarNode { Style: ScalarStyle.Plain } scalar
                    && int.TryParse(scalar.Value, System.Globalization.CultureInfo.InvariantCulture, out var code) && code is >= 400 and <= 599)
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
