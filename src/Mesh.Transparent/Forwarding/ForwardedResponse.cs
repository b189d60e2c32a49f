using System.Net.Http.Headers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Primitives;

namespace Mesh.Transparent.Forwarding;

/// <summary>An answer as it is given back: same status, reason, headers and trailers; without what belongs to the connection it came on.</summary>
internal static class ForwardedResponse
{
    public static void Apply(HttpContext context, HttpResponseMessage response, bool keepsUpgrade)
    {
        var answer = context.Response;
        answer.StatusCode = (int)response.StatusCode;
        if (response.ReasonPhrase is { } reason && context.Request.Protocol.StartsWith("HTTP/1", StringComparison.Ordinal))
        {
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = reason;
        }

        StringValues connection = response.Headers.NonValidated.TryGetValues("Connection", out var named) ? new StringValues([.. named]) : default;
        Copy(response.Headers, answer.Headers, connection);
        if (response.Content is not null)
        {
            Copy(response.Content.Headers, answer.Headers, connection);
        }

        if (keepsUpgrade)
        {
            answer.Headers.Connection = "Upgrade";
            if (response.Headers.NonValidated.TryGetValues("Upgrade", out var protocol))
            {
                answer.Headers.Upgrade = protocol.ToString();
            }
        }
    }

    /// <summary>Once the body has been read.</summary>
    public static void ApplyTrailers(HttpContext context, HttpResponseMessage response)
    {
        if (!context.Response.SupportsTrailers())
        {
            return;
        }

        foreach (var header in response.TrailingHeaders.NonValidated)
        {
            context.Response.AppendTrailer(header.Key, Values(header.Value));
        }
    }

    private static void Copy(HttpHeaders from, IHeaderDictionary to, StringValues connection)
    {
        foreach (var header in from.NonValidated)
        {
            if (!HopByHop.IsOne(header.Key, connection))
            {
                to[header.Key] = Values(header.Value);
            }
        }
    }

    private static StringValues Values(HeaderStringValues values) => values.Count == 1 ? new StringValues(values.ToString()) : new StringValues([.. values]);
}
