using System.IO.Compression;
using System.Text;
using Mesh.Export;
using Microsoft.AspNetCore.Http;

namespace Mesh.Server;

/// <summary>Answers a scrape: as Prometheus' text or OpenMetrics, gzipped for who takes it.</summary>
internal static class MetricsResponse
{
    /// <param name="parts">The document, in the format that was asked for.</param>
    public static async Task WriteAsync(HttpContext context, Func<TextFormat, IEnumerable<string>> parts)
    {
        var format = TextFormats.Negotiate(context.Request.Headers.Accept);
        var response = context.Response;
        response.ContentType = format.ContentType();
        response.Headers.Vary = "Accept, Accept-Encoding";
        response.Headers.CacheControl = "no-store";
        var gzip = AcceptsGzip(context.Request);
        if (gzip)
        {
            response.Headers.ContentEncoding = "gzip";
        }

        if (HttpMethods.IsHead(context.Request.Method))
        {
            return;
        }

        // One part after the other: all of them may be megabytes.
        Stream body = gzip ? new GZipStream(response.Body, CompressionLevel.Fastest) : new BufferedStream(response.Body, 16 * 1024);
        await using var owned = body.ConfigureAwait(false);
        foreach (var part in parts(format))
        {
            await body.WriteAsync(Encoding.UTF8.GetBytes(part), context.RequestAborted).ConfigureAwait(false);
        }
    }

    /// <summary>RFC 9110 §12.5.3: gzip or * without a weight of zero.</summary>
    private static bool AcceptsGzip(HttpRequest request)
    {
        bool? any = null;
        foreach (var part in request.Headers.AcceptEncoding.SelectMany(v => (v ?? string.Empty).Split(',')))
        {
            var (coding, weight) = part.IndexOf(';', StringComparison.Ordinal) is >= 0 and var at ? (part[..at].Trim(), part[(at + 1)..].Trim()) : (part.Trim(), string.Empty);
            var accepted = !weight.StartsWith("q=0", StringComparison.OrdinalIgnoreCase) || weight.AsSpan(3).ContainsAnyInRange('1', '9');
            if (coding.Equals("gzip", StringComparison.OrdinalIgnoreCase))
            {
                return accepted;
            }

            any = coding == "*" ? accepted : any;
        }

        return any ?? false;
    }
}
