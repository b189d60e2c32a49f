using System.Net;
using Mesh.Outbound;

namespace Mesh.Client;

/// <summary>The primary handler of a meshed client: each hop goes through the outbound pipeline. Owns no connection of the mesh, so factories may recycle it.</summary>
/// <remarks>Redirects and cookies are done here, as the client's own primary asked, so that each hop is routed anew.</remarks>
internal sealed class MeshHttpHandler : HttpMessageHandler
{
    private readonly OutboundPipeline _pipeline;
    private readonly HttpMessageInvoker _own;
    private readonly ClientLimits? _limits;
    private readonly CookieContainer? _cookies;
    private readonly int _maxRedirects;

    /// <param name="own">The client's own primary: it serves the hosts that the mesh does not know. Disposed with this one.</param>
    /// <param name="limits">What the client allows its calls at most; null is what the routes say.</param>
    public MeshHttpHandler(OutboundPipeline pipeline, HttpMessageHandler own, ClientLimits? limits = null)
    {
        _pipeline = pipeline;
        _limits = limits;
        _own = new PassThroughInvoker(own);
        (_cookies, _maxRedirects) = own switch
        {
            SocketsHttpHandler s => (s.UseCookies ? s.CookieContainer : null, s.AllowAutoRedirect ? s.MaxAutomaticRedirections : 0),
            HttpClientHandler c => (c.UseCookies ? c.CookieContainer : null, c.AllowAutoRedirect ? c.MaxAutomaticRedirections : 0),
            _ => (null, 0),
        };
    }

    /// <inheritdoc/>
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri is { IsAbsoluteUri: true } uri && ServiceNames.IsCombinedScheme(uri.Scheme))
        {
            request.RequestUri = new UriBuilder(uri) { Scheme = Uri.UriSchemeHttp, Port = uri.IsDefaultPort ? -1 : uri.Port }.Uri;
        }

        return _cookies is null && _maxRedirects == 0 ? _pipeline.SendAsync(request, _own, _limits?.For(request), cancellationToken).AsTask() : SendHopsAsync(request, cancellationToken);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _own.Dispose();
        }

        base.Dispose(disposing);
    }

    private async Task<HttpResponseMessage> SendHopsAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var callersCookies = request.Headers.NonValidated.TryGetValues("Cookie", out var cookies) ? cookies.ToString() : null;
        var changed = false;
        try
        {
            for (var redirects = 0; ; redirects++)
            {
                changed = ApplyCookies(request, callersCookies, changed);
                var response = await _pipeline.SendAsync(request, _own, _limits?.For(request), cancellationToken).ConfigureAwait(false);
                KeepCookies(request.RequestUri!, response);
                if (redirects >= _maxRedirects || Redirects.Target(request.RequestUri!, response) is not { } target)
                {
                    return response;
                }

                response.Dispose();
                Redirects.Apply(request, response.StatusCode, target);
            }
        }
        finally
        {
            // A handler further out may send the same request again.
            if (changed)
            {
                PassThroughInvoker.RestoreCookies(request);
            }
        }
    }

    /// <summary>True when the request carries stored cookies now. It looks into the request's options only then: they are made when they are looked at.</summary>
    private bool ApplyCookies(HttpRequestMessage request, string? callersCookies, bool changed)
    {
        if (_cookies is { Count: > 0 } && _cookies.GetCookieHeader(request.RequestUri!) is { Length: > 0 } stored)
        {
            request.Options.Set(PassThroughInvoker.CallersCookies, callersCookies ?? string.Empty);
            SetCookies(request, callersCookies is null ? stored : $"{callersCookies}; {stored}");
            return true;
        }

        if (changed)
        {
            PassThroughInvoker.RestoreCookies(request);
        }

        return false;
    }

    private static void SetCookies(HttpRequestMessage request, string value)
    {
        request.Headers.Remove("Cookie");
        if (value.Length > 0)
        {
            request.Headers.TryAddWithoutValidation("Cookie", value);
        }
    }

    private void KeepCookies(Uri uri, HttpResponseMessage response)
    {
        if (_cookies is not null && response.Headers.NonValidated.TryGetValues("Set-Cookie", out var values))
        {
            foreach (var value in values)
            {
                try
                {
                    _cookies.SetCookies(uri, value);
                }
                catch (CookieException)
                {
                    // As .NET's own handler: a malformed cookie is not kept.
                }
            }
        }
    }

    /// <summary>Sends by the client's own primary, which adds its stored cookies itself: it gets the request as the caller wrote it.</summary>
    private sealed class PassThroughInvoker(HttpMessageHandler own) : HttpMessageInvoker(own, disposeHandler: true)
    {
        /// <summary>The request's own cookies, empty for none; set while it carries stored ones beside them.</summary>
        public static readonly HttpRequestOptionsKey<string> CallersCookies = new("Mesh.CallersCookies");

        public static void RestoreCookies(HttpRequestMessage request)
        {
            if (request.Options.TryGetValue(CallersCookies, out var callers))
            {
                ((IDictionary<string, object?>)request.Options).Remove(CallersCookies.Key);
                SetCookies(request, callers);
            }
        }

        public override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            RestoreCookies(request);
            return MeshOnlyHeaders.TakeOut(request) is { } insideOnly ? SendAsync(request, insideOnly, cancellationToken) : base.SendAsync(request, cancellationToken);
        }

        private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, RequestBefore insideOnly, CancellationToken cancellationToken)
        {
            try
            {
                return await base.SendAsync(request, cancellationToken).ConfigureAwait(false);
            }
            finally
            {
                insideOnly.Restore(request);
            }
        }
    }
}
