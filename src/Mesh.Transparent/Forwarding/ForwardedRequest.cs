using System.Diagnostics.CodeAnalysis;
using System.Net;
using Mesh.Traffic;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Mesh.Transparent.Forwarding;

/// <summary>A request as it is given on: same method, target, host, headers and version; without what belongs to the connection it came on.</summary>
internal static class ForwardedRequest
{
    // A target goes on as it was written: dots and escapes are the app's business, and have been judged.
    private static readonly UriCreationOptions _asWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <param name="authority">Of its URI; null is the request's host.</param>
    /// <returns>Null when it can't be written on as it is: the app must get what was judged.</returns>
    public static HttpRequestMessage? From(HttpContext context, string? authority, HttpContent? body, bool upgrades)
    {
        var given = context.Request;
        // HttpClient writes "get" as "GET", which is another method (RFC 9110 §9.1).
        var method = HttpMethod.Parse(given.Method);
        if (method.Method != given.Method || method == HttpMethod.Connect || IsChunkedHttp10(given) || !TryTarget(context, authority, out var uri))
        {
            return null;
        }

        var version = HttpProtocol.IsHttp2(given.Protocol) ? HttpVersion.Version20 : HttpProtocol.IsHttp10(given.Protocol) ? HttpVersion.Version10 : HttpVersion.Version11;
        var request = new HttpRequestMessage(method, uri)
        {
            Version = version,
            // HTTP/2 is told by its preface, without TLS; an upgrade is HTTP/1.1's alone.
            VersionPolicy = version.Major == 2 || upgrades ? HttpVersionPolicy.RequestVersionExact : HttpVersionPolicy.RequestVersionOrLower,
            Content = body,
        };
        var connection = given.Headers.Connection;
        foreach (var (name, value) in given.Headers)
        {
            // Pseudo-headers stand here too.
            if (name.Length > 0 && name[0] != ':' && !HopByHop.IsOne(name, connection) && !IsOurs(name))
            {
                Add(request, name, value);
            }
        }

        if (authority is not null)
        {
            request.Headers.Host = given.Host.Value is { Length: > 0 } host ? host : authority;
        }

        if (HopByHop.AsksForTrailers(given.Headers))
        {
            request.Headers.TryAddWithoutValidation("TE", "trailers");
        }

        if (upgrades)
        {
            request.Headers.TryAddWithoutValidation("Connection", "Upgrade");
            request.Headers.TryAddWithoutValidation("Upgrade", (IEnumerable<string?>)given.Headers.Upgrade);
        }

        return request;
    }

    /// <summary>Its target names the host too (RFC 9112 §3.2.2): written so for a proxy.</summary>
    public static bool IsAbsoluteForm(HttpContext context) => context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget is not ['/' or '*', ..];

    private static bool IsOurs(string name) => name.Equals(MeshHeaders.OriginalProtocol, StringComparison.OrdinalIgnoreCase) || name.Equals(MeshHeaders.ClientId, StringComparison.OrdinalIgnoreCase);

    private static void Add(HttpRequestMessage request, string name, StringValues value)
    {
        // Without validation: what the app takes is the app's business. Content headers are told by being refused here.
        if (value.Count == 1 ? !request.Headers.TryAddWithoutValidation(name, value.ToString()) : !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value))
        {
            if (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase))
            {
                return;
            }

            // A content header without content (GET with Content-Type) needs something to stand on.
            var content = request.Content ??= new ByteArrayContent([]) { Headers = { ContentLength = null } };
            content.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
        }
    }

    private static bool TryTarget(HttpContext context, string? authority, [NotNullWhen(true)] out Uri? uri)
    {
        var request = context.Request;
        var raw = context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget;
        var host = authority ?? (request.Host.Value is { Length: > 0 } named ? named : Address(context));
        uri = null;
        // An origin-form goes on as it is. OPTIONS * (RFC 9112 §3.2.4) is nothing that HttpClient can write; spaces and ends of lines it would write as they are.
        return raw != "*" && raw.AsSpan().IndexOfAnyInRange('\0', ' ') < 0 && Uri.TryCreate($"http://{host}{(raw.StartsWith('/') ? raw : OfAbsolute(raw))}", _asWritten, out uri);
    }

    /// <summary>What stands behind the authority of an absolute-form, as it was written.</summary>
    private static string OfAbsolute(string raw)
    {
        var authority = raw.IndexOf("://", StringComparison.Ordinal) + 3;
        var path = authority < 3 ? -1 : raw.AsSpan(authority).IndexOfAny('/', '?');
        return path < 0 ? "/" : raw[authority + path] == '?' ? "/" + raw[(authority + path)..] : raw[(authority + path)..];
    }

    private static string Address(HttpContext context) => new IPEndPoint(context.Connection.LocalIpAddress ?? IPAddress.Loopback, context.Connection.LocalPort).ToString();

    /// <summary>Its framing is faulty by definition (RFC 9112 §6.1).</summary>
    private static bool IsChunkedHttp10(HttpRequest request) => HttpProtocol.IsHttp10(request.Protocol) && request.Headers.TransferEncoding.Count > 0;
}
