using Mesh.Traffic;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>What policy sees of a request in. Made only for policies that look at the request.</summary>
/// <remarks>The path is the decoded one, as the app's own routing sees it: another spelling of it is no way around a limit.</remarks>
internal sealed class HttpContextHead(HttpRequest request) : RequestHead
{
    /// <summary>Looks at another request from now on: one head serves many, one after the other.</summary>
    public HttpContextHead Over(HttpRequest other)
    {
        request = other;
        return this;
    }

    public override string Method => request.Method;

    /// <summary>Without a port, in lower case, international names as they came (<c>xn--</c>): another spelling of the host is no way around either.</summary>
    public override string Authority => (request.HttpContext.Features.Get<MeshConnectionFeature>()?.HostOf(request.Headers.Host.ToString()) ?? CanonicalHost.Of(request.Headers.Host.ToString())).Name;

    /// <summary>A target without a path (<c>OPTIONS *</c>, CONNECT) is routed as <c>/</c>.</summary>
    public override string Path => request.PathBase.HasValue ? request.PathBase.Value + request.Path.Value : request.Path.Value is { Length: > 0 } path ? path : "/";

    public override string Query => request.QueryString.Value is { Length: > 1 } query ? query[1..] : string.Empty;

    public override string? Header(string name) => name switch
    {
        ":method" => Method,
        ":path" => Path + request.QueryString.Value,
        ":authority" or "host" => Authority,
        _ => request.Headers.TryGetValue(name, out var values) ? values.ToString() : null,
    };

    public override int Lines(string name) => name is "host" or [':', ..] ? base.Lines(name) : request.Headers.TryGetValue(name, out var values) ? values.Count : 0;

    public override string Line(string name, int index) => name is "host" or [':', ..] ? base.Line(name, index) : request.Headers[name][index] ?? string.Empty;
}
