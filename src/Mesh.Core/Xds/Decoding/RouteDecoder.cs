using Mesh.Config;
using Mesh.Traffic;
using Wire = Mesh.Protos.Envoy.Route;

namespace Mesh.Xds.Decoding;

/// <summary>One route: what it takes and what becomes of it.</summary>
internal static class RouteDecoder
{
    /// <returns>Null for a route that gRFC A28 tells to ignore, or that has errors.</returns>
    public static Route? Decode(Wire.Route given, RetryPolicy? hostRetry, string path, DecodeErrors errors)
    {
        var overrides = HttpFilterDecoder.Overrides(given.TypedPerFilterConfig, path, errors);
        var policy = RoutePolicyDecoder.Decode(given.TypedPerFilterConfig, path, errors);
        var match = Match(given.Match, $"{path}.match", errors);
        RouteAction? action = given.ActionCase switch
        {
            Wire.Route.ActionOneofCase.Route_ => Forward(given.Route_, match, hostRetry, policy, $"{path}.route", errors),
            Wire.Route.ActionOneofCase.DirectResponse => Direct(given.DirectResponse, $"{path}.direct_response", errors),
            Wire.Route.ActionOneofCase.NonForwardingAction => new RouteAction.NotForwarding("the route is for the receiving side (non_forwarding_action)"),
            Wire.Route.ActionOneofCase.Redirect => RedirectDecoder.Decode(given.Redirect, $"{path}.redirect", errors),
            _ => new RouteAction.NotForwarding("the route has no action that is known here"),
        };
        var (request, response) = HeaderChangesDecoder.Of(given, $"{path}.", errors);
        return match is null || action is null ? null : new Route(given.Name, match, action) { FilterOverrides = overrides, FaultExpiresAt = policy.FaultExpiresAt, RequestHeaders = request, ResponseHeaders = response };
    }

    /// <returns>What is right of it; null when it is not set.</returns>
    public static RouteMatch? Match(Wire.RouteMatch? match, string path, DecodeErrors errors)
    {
        if (match is null)
        {
            errors.Add(path, "is not set", "Say which calls the route takes, such as prefix: '/'.");
            return null;
        }

        var ignoreCase = match.CaseSensitive == false;
        StringMatcher? text = null;
        PathTemplate? template = null;
        switch (match.PathSpecifierCase)
        {
            case Wire.RouteMatch.PathSpecifierOneofCase.Prefix:
                text = match.Prefix is "" or "/" ? null : new StringMatcher(StringMatchKind.Prefix, match.Prefix, ignoreCase);
                break;
            case Wire.RouteMatch.PathSpecifierOneofCase.Path:
                text = new StringMatcher(StringMatchKind.Exact, match.Path, ignoreCase);
                break;
            case Wire.RouteMatch.PathSpecifierOneofCase.SafeRegex:
                text = MatcherDecoder.Regex(match.SafeRegex, $"{path}.safe_regex", errors);
                break;
            case Wire.RouteMatch.PathSpecifierOneofCase.PathSeparatedPrefix:
                if (match.PathSeparatedPrefix is not ['/', .., not '/'] || match.PathSeparatedPrefix.AsSpan().ContainsAny('?', '#'))
                {
                    errors.Add($"{path}.path_separated_prefix", $"is '{match.PathSeparatedPrefix}'", "Start with '/', do not end with it, no '?' or '#'.");
                }

                text = new StringMatcher(StringMatchKind.PathPrefix, match.PathSeparatedPrefix, ignoreCase);
                break;
            case Wire.RouteMatch.PathSpecifierOneofCase.PathMatchPolicy:
                template = PathRewriteDecoder.Template(match.PathMatchPolicy, $"{path}.path_match_policy", errors);
                break;
            default:
                errors.Add(path, "has no path specifier that is known here", "Set one of prefix, path, safe_regex, path_separated_prefix, path_match_policy.");
                break;
        }

        var headers = new List<HeaderMatcher>(match.Headers.Count);
        for (var i = 0; i < match.Headers.Count; i++)
        {
            if (MatcherDecoder.Header(match.Headers[i], $"{path}.headers[{i}]", errors) is { } header)
            {
                headers.Add(header);
            }
        }

        var query = new List<HeaderMatcher>(match.QueryParameters.Count);
        for (var i = 0; i < match.QueryParameters.Count; i++)
        {
            if (MatcherDecoder.Query(match.QueryParameters[i], $"{path}.query_parameters[{i}]", errors) is { } parameter)
            {
                query.Add(parameter);
            }
        }

        return new RouteMatch(text, headers, FractionDecoder.PerMillion(match.RuntimeFraction, $"{path}.runtime_fraction", errors)) { QueryParameters = query, Template = template };
    }

    private static RouteAction.Forward? Forward(Wire.RouteAction given, RouteMatch? match, RetryPolicy? hostRetry, RoutePolicy policy, string path, DecodeErrors errors)
    {
        // The route's own policy replaces the virtual host's as a whole (gRFC A44).
        var retry = given.RetryPolicy is null ? hostRetry : RetryPolicyDecoder.Decode(given.RetryPolicy, $"{path}.retry_policy", errors);
        var timeout = Timeout(given, path, errors);
        var idle = errors.Time(given.IdleTimeout, $"{path}.idle_timeout");
        IReadOnlyList<WeightedCluster> clusters;
        switch (given.ClusterSpecifierCase)
        {
            case Wire.RouteAction.ClusterSpecifierOneofCase.Cluster:
                if (given.Cluster.Length == 0)
                {
                    errors.Add($"{path}.cluster", "is empty", "Name the cluster.");
                }

                clusters = [new WeightedCluster(given.Cluster, 1)];
                break;
            case Wire.RouteAction.ClusterSpecifierOneofCase.WeightedClusters:
                clusters = Weighted(given.WeightedClusters, $"{path}.weighted_clusters", errors);
                break;
            default:
                return null; // cluster_header, plugins and what comes after us: the route is as if absent (gRFC A28)
        }

        return new RouteAction.Forward(clusters)
        {
            Timeout = timeout,
            Retry = retry,
            IdleTimeout = idle > TimeSpan.Zero ? idle : null,
            ResponseHeadersTimeout = policy.ResponseHeadersTimeout,
            Hedging = policy.Hedging,
            HostRewrite = HostRewrite(given, path, errors),
            PathRewrite = PathRewriteDecoder.OfRoute(given, match, path, errors),
            Mirrors = MirrorDecoder.Decode(given.RequestMirrorPolicies, $"{path}.request_mirror_policies", errors),
            HashPolicies = HashPolicyDecoder.Decode(given.HashPolicy, $"{path}.hash_policy", errors),
        };
    }

    /// <summary>The literal form; the others need names of endpoints or headers and leave the caller's host.</summary>
    private static string? HostRewrite(Wire.RouteAction given, string path, DecodeErrors errors)
    {
        if (given.HostRewriteSpecifierCase != Wire.RouteAction.HostRewriteSpecifierOneofCase.HostRewriteLiteral || given.HostRewriteLiteral.Length == 0)
        {
            return null;
        }

        if (!Uri.TryCreate($"http://{given.HostRewriteLiteral}/", UriKind.Absolute, out var uri) || uri.PathAndQuery != "/" || uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            errors.Add($"{path}.host_rewrite_literal", $"is '{given.HostRewriteLiteral}'", "Use a host name or address, with or without a port.");
        }

        return given.HostRewriteLiteral;
    }

    private static List<WeightedCluster> Weighted(Wire.WeightedCluster given, string path, DecodeErrors errors)
    {
        var sum = given.Clusters.Aggregate(0UL, (total, c) => total + (c.Weight ?? 0));
        if (sum is 0 or > uint.MaxValue)
        {
            errors.Add($"{path}.clusters", $"have weights that add up to {sum}", $"Use a sum of 1–{uint.MaxValue}.");
        }

        var clusters = new List<WeightedCluster>(given.Clusters.Count);
        for (var i = 0; i < given.Clusters.Count; i++)
        {
            var cluster = given.Clusters[i];
            if (cluster.Weight is null or 0)
            {
                continue;
            }

            if (cluster.Name.Length == 0)
            {
                errors.Add($"{path}.clusters[{i}].name", "is empty", "Name the cluster.");
            }

            var overrides = HttpFilterDecoder.Overrides(cluster.TypedPerFilterConfig, $"{path}.clusters[{i}]", errors);
            var (request, response) = HeaderChangesDecoder.Of(cluster, $"{path}.clusters[{i}].", errors);

            // A quarter of each keeps the sum inside an int without moving the shares.
            var weight = sum > int.MaxValue ? Math.Max(1, cluster.Weight.Value >> 2) : cluster.Weight.Value;
            clusters.Add(new WeightedCluster(cluster.Name, (int)weight) { FilterOverrides = overrides, RequestHeaders = request, ResponseHeaders = response });
        }

        return clusters;
    }

    /// <summary>The longest time of a call: <c>timeout</c>, else <c>grpc_timeout_header_max</c>, else <c>max_stream_duration</c> (gRFC A31); 0 is none.</summary>
    private static TimeSpan? Timeout(Wire.RouteAction given, string path, DecodeErrors errors)
    {
        var timeout = errors.Time(given.Timeout, $"{path}.timeout");
        var stream = given.MaxStreamDuration;
        var header = errors.Time(stream?.GrpcTimeoutHeaderMax, $"{path}.max_stream_duration.grpc_timeout_header_max");
        var duration = errors.Time(stream?.MaxStreamDuration_, $"{path}.max_stream_duration.max_stream_duration");
        var effective = timeout > TimeSpan.Zero ? timeout : header ?? duration;
        return effective > TimeSpan.Zero ? effective : null;
    }

    private static RouteAction.DirectResponse Direct(Wire.DirectResponseAction given, string path, DecodeErrors errors)
    {
        if (given.Status is < 200 or > 599)
        {
            errors.Add($"{path}.status", $"is {given.Status}", "Use 200–599.");
        }

        var body = given.Body;
        if (body?.SpecifierCase == Protos.Envoy.Core.DataSource.SpecifierOneofCase.Filename)
        {
            errors.Add($"{path}.body.filename", $"is '{body.Filename}'", "Send the text itself: files of the control plane are not here.");
        }

        var text = body?.SpecifierCase == Protos.Envoy.Core.DataSource.SpecifierOneofCase.InlineBytes
            ? System.Text.Encoding.UTF8.GetString(body.InlineBytes.Span)
            : body?.InlineString ?? string.Empty;
        return new RouteAction.DirectResponse((int)Math.Min(given.Status, 599), text);
    }
}
