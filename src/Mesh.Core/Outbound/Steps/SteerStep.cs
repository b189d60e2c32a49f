using System.Globalization;
using Mesh.Config;
using Mesh.Routing;
using Mesh.Telemetry;

namespace Mesh.Outbound.Steps;

/// <summary>What a route says beside the choice of its cluster: answers of its own, and changes of request and response.</summary>
internal static class SteerStep
{
    public static HttpResponseMessage Answer(OutboundCall call, OutboundRoute route, RouteAction.DirectResponse direct) =>
        Own(call, route, Decisions.DirectResponse, direct.Status, OutboundErrors.Direct(call.Request, call.IsGrpc, direct.Status, direct.Body));

    /// <summary>gRPC has no redirects (gRFC A28): such a call is UNAVAILABLE.</summary>
    public static HttpResponseMessage Answer(OutboundCall call, OutboundRoute route, RouteAction.Redirect redirect) => Own(
        call, route, Decisions.Redirect, redirect.Status,
        call.IsGrpc
            ? OutboundErrors.Respond(call.Request, grpc: true, MeshErrorCode.NotForwarding, $"The route '{route.Config.Name}' redirects, which gRPC calls cannot follow.")
            : OutboundErrors.Redirect(call.Request, redirect.Status, Location(redirect, route.Config.Match, call.Request)));

    /// <summary>Makes the request what the server is to see; <see cref="OutboundCall.Commit"/> gives the caller's back.</summary>
    public static void Apply(OutboundCall call, Steering steering) => call.Before = steering.Apply(call.Request);

    /// <summary>The place that a redirect names: what it does not say is the caller's (Envoy).</summary>
    internal static Uri Location(RouteAction.Redirect redirect, RouteMatch match, HttpRequestMessage request)
    {
        var uri = request.RequestUri!;
        var path = redirect.Path is { } rewrite ? PathRewriter.Rewrite(rewrite, match, uri.AbsolutePath) : uri.AbsolutePath;
        var query = redirect.StripQuery || path.Contains('?', StringComparison.Ordinal) ? string.Empty : uri.Query;
        var (host, port) = Authority(request.Headers.Host, uri);
        if (redirect.Port is { } other)
        {
            port = other;
        }
        else if (redirect.Host is not null || (redirect.Scheme is { } scheme && scheme != uri.Scheme))
        {
            port = -1;
        }

        var authority = port < 0 ? redirect.Host ?? host : string.Create(CultureInfo.InvariantCulture, $"{redirect.Host ?? host}:{port}");
        return new Uri($"{redirect.Scheme ?? uri.Scheme}://{authority}{path.Replace("#", "%23", StringComparison.Ordinal)}{query}");
    }

    /// <summary>As the caller wrote it: its Host header goes before the URI.</summary>
    private static (string Host, int Port) Authority(string? hostHeader, Uri uri) =>
        hostHeader is not null && Uri.TryCreate($"{uri.Scheme}://{hostHeader}/", UriKind.Absolute, out var written) ? (written.Host, written.Port) : (uri.Host, uri.Port);

    private static HttpResponseMessage Own(OutboundCall call, OutboundRoute route, string decision, int status, HttpResponseMessage answer)
    {
        call.Pipeline.Telemetry.Decide(call, decision, status.ToString(CultureInfo.InvariantCulture));
        route.OwnAnswer?.Apply(answer);
        return answer;
    }
}
