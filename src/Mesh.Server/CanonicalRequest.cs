using Mesh.Hosting;
using Mesh.Inbound;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Server;

/// <summary>Makes a request mean one thing before anything looks at it: what policies see is what the app sees.</summary>
internal static class CanonicalRequest
{
    private static readonly Rejection _path = Rejection.Ambiguous("path");
    private static readonly Rejection _host = Rejection.Ambiguous("host");
    private static readonly Rejection _method = Rejection.Ambiguous("method");
    private static readonly Rejection _header = Rejection.Ambiguous("header");
    private static readonly Rejection _query = Rejection.Ambiguous("query");

    // Middleware that obeys them runs after the mesh, so that policies would judge another method.
    private static readonly string[] _overrides = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"];

    /// <summary>Null when the request has one meaning, or has got one.</summary>
    public static Rejection? Apply(HttpContext context, MeshConnectionFeature connection, InboundGuards guards, MeshAmbiguousRequests mode)
    {
        if (mode == MeshAmbiguousRequests.Pass)
        {
            return null;
        }

        var request = context.Request;
        var target = context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? string.Empty;
        var path = request.Path.Value ?? string.Empty;
        if (mode == MeshAmbiguousRequests.Refuse ? CanonicalPath.IsAmbiguous(path, target) : !TryNormalize(request, path, target))
        {
            return _path;
        }

        // ASP.NET's routing takes get for GET.
        if (request.Method.AsSpan().ContainsAnyInRange('a', 'z'))
        {
            if (mode == MeshAmbiguousRequests.Refuse)
            {
                return _method;
            }

            request.Method = request.Method.ToUpperInvariant();
        }

        foreach (var name in _overrides)
        {
            request.Headers.Remove(name);
        }

        // Not request.Host, which shows international names decoded.
        var host = connection.HostOf(request.Headers.Host.ToString());
        if (!host.IsValid || HasUser(target))
        {
            return _host;
        }

        if (!ReferenceEquals(host.Value, host.Given))
        {
            request.Host = new HostString(host.Value);
        }

        foreach (var name in guards.RouteHeaders)
        {
            if (request.Headers.TryGetValue(name, out var lines) && lines.Count > 1)
            {
                return _header;
            }
        }

        return guards.RouteParameters.Count > 0 && !HasOneReading(request.QueryString.Value, guards.RouteParameters) ? _query : null;
    }

    /// <summary>Each of the names comes once at most, and in its own case: ASP.NET reads them in any.</summary>
    private static bool HasOneReading(string? query, IReadOnlyList<string> names)
    {
        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var pair in new Microsoft.AspNetCore.WebUtilities.QueryStringEnumerable(query))
        {
            var name = pair.DecodeName().ToString();
            foreach (var known in names)
            {
                if (known.Equals(name, StringComparison.OrdinalIgnoreCase) && (known != name || !seen.Add(name)))
                {
                    return false;
                }
            }
        }

        return true;
    }

    private static bool TryNormalize(HttpRequest request, string path, string target)
    {
        if (CanonicalPath.Normalize(path, target) is not { } canonical)
        {
            return false;
        }

        if (!ReferenceEquals(canonical, path))
        {
            request.Path = canonical;
        }

        return true;
    }

    // Kestrel takes user info in the absolute form and compares only what follows it with the Host header.
    private static bool HasUser(string target)
    {
        if (target is [] or ['/', ..] || target.IndexOf("://", StringComparison.Ordinal) is not (> 0 and var scheme))
        {
            return false;
        }

        var authority = target.AsSpan(scheme + 3);
        var end = authority.IndexOfAny('/', '?', '#');
        return (end < 0 ? authority : authority[..end]).Contains('@');
    }
}
