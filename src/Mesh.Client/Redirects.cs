using System.Net;

namespace Mesh.Client;

/// <summary>Where a redirect leads and what of the request goes along: the same as .NET's own handler does it.</summary>
internal static class Redirects
{
    /// <summary>Null when the response is no redirect that may be followed.</summary>
    public static Uri? Target(Uri from, HttpResponseMessage response)
    {
        if (response.StatusCode is not (HttpStatusCode.MultipleChoices or HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect)
            || response.Headers.Location is not { } location)
        {
            return null;
        }

        var target = location.IsAbsoluteUri ? location : new Uri(from, location);
        if (from.Fragment.Length > 0 && target.Fragment.Length == 0)
        {
            target = new UriBuilder(target) { Fragment = from.Fragment }.Uri;
        }

        // Never from https to http, and nowhere else.
        return target.Scheme == Uri.UriSchemeHttps || (target.Scheme == Uri.UriSchemeHttp && from.Scheme != Uri.UriSchemeHttps) ? target : null;
    }

    /// <summary>RFC 9110 §15.4: POST becomes GET for 300–302, everything but HEAD for 303. Credentials stay behind.</summary>
    public static void Apply(HttpRequestMessage request, HttpStatusCode status, Uri target)
    {
        request.Headers.Authorization = null;
        request.RequestUri = target;
        var becomesGet = status switch
        {
            HttpStatusCode.MultipleChoices or HttpStatusCode.Moved or HttpStatusCode.Found => request.Method == HttpMethod.Post,
            HttpStatusCode.SeeOther => request.Method != HttpMethod.Get && request.Method != HttpMethod.Head,
            _ => false,
        };
        if (becomesGet)
        {
            request.Method = HttpMethod.Get;
            request.Content = null;
            if (request.Headers.TransferEncodingChunked == true)
            {
                request.Headers.TransferEncodingChunked = false;
            }
        }
    }
}
