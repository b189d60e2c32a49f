using System.Security.Cryptography;
using Microsoft.Net.Http.Headers;

namespace Mesh.ControlPlane.Dashboard;

/// <summary>One file of the page, as it was built: plain, and compressed where that helps.</summary>
/// <param name="Path">Relative, such as <c>assets/index-1a2b.js</c>.</param>
internal sealed record DashboardFile(string Path, string ContentType, ReadOnlyMemory<byte> Plain, ReadOnlyMemory<byte> Brotli, ReadOnlyMemory<byte> Gzip)
{
    private const string Page = "index.html";

    private readonly EntityTagHeaderValue _tag = new($"\"{Convert.ToHexStringLower(SHA256.HashData(Plain.Span))[..16]}\"");

    public bool IsPage => Path == Page;

    /// <summary>Its name holds a hash of its content: what was kept of it once holds for ever.</summary>
    private bool IsHashed => Path.StartsWith("assets/", StringComparison.Ordinal);

    public async Task WriteAsync(HttpContext context)
    {
        var (request, response) = (context.Request, context.Response);
        DashboardHeaders.Set(response);
        response.Headers.CacheControl = IsPage ? "no-store" : IsHashed ? "public, max-age=31536000, immutable" : "public, max-age=3600";
        response.Headers.Vary = HeaderNames.AcceptEncoding;
        if (!IsPage)
        {
            response.GetTypedHeaders().ETag = _tag;
            if (request.GetTypedHeaders().IfNoneMatch.Any(t => t.Tag == "*" || t.Compare(_tag, useStrongComparison: false)))
            {
                response.StatusCode = StatusCodes.Status304NotModified;
                return;
            }
        }

        var (body, encoding) = Choose(request);
        response.ContentType = ContentType;
        response.ContentLength = body.Length;
        if (encoding is not null)
        {
            response.Headers.ContentEncoding = encoding;
        }

        if (!HttpMethods.IsHead(request.Method))
        {
            await response.Body.WriteAsync(body, context.RequestAborted);
        }
    }

    private (ReadOnlyMemory<byte> Body, string? Encoding) Choose(HttpRequest request)
    {
        var accepted = request.GetTypedHeaders().AcceptEncoding;
        return Takes("br") && !Brotli.IsEmpty ? (Brotli, "br") : Takes("gzip") && !Gzip.IsEmpty ? (Gzip, "gzip") : (Plain, null);

        bool Takes(string coding) => accepted.Any(a => a.Value.Equals(coding, StringComparison.OrdinalIgnoreCase) && a.Quality is null or > 0);
    }
}
