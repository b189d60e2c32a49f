using System.Net;

namespace Mesh.Transparent.Forwarding;

/// <summary>HTTP to servers without mesh TLS: the app itself, and what is outside of the mesh.</summary>
internal static class AppHttp
{
    /// <summary>Linkerd's for HTTP/1 connections.</summary>
    private static readonly TimeSpan _idleTimeout = TimeSpan.FromSeconds(3);

    /// <summary>Linkerd's for connections out.</summary>
    private static readonly TimeSpan _connectTimeout = TimeSpan.FromSeconds(1);

    private static readonly HttpRequestOptionsKey<IPEndPoint> _address = new("Mesh.Address");
    private static readonly UriCreationOptions _asWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>A handler that changes nothing: what comes goes on, and back.</summary>
    public static SocketsHttpHandler Create() => new()
    {
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        UseProxy = false,
        ActivityHeadersPropagator = null,
        EnableMultipleHttp2Connections = true,
        ConnectTimeout = _connectTimeout,
        PooledConnectionIdleTimeout = _idleTimeout,
        InitialHttp2StreamWindowSize = 256 * 1024,
        // 1 MiB: the app's own limit is the one that counts.
#pragma warning disable CA2262 // it is in KiB
        MaxResponseHeadersLength = 1024,
#pragma warning restore CA2262
    };

    /// <summary>One that writes targets in absolute-form (RFC 9112 §3.2.2), as to a proxy: for requests that came so.</summary>
    public static SocketsHttpHandler CreateForAbsoluteForm()
    {
        var handler = Create();
        (handler.UseProxy, handler.Proxy) = (true, new Everywhere());
        // The proxy's name carries the address: connections are pooled by it.
        handler.ConnectCallback = async (context, cancellationToken) =>
        {
            var socket = new System.Net.Sockets.Socket(System.Net.Sockets.SocketType.Stream, System.Net.Sockets.ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(context.InitialRequestMessage.Options.TryGetValue(_address, out var address) ? address : context.DnsEndPoint, cancellationToken).ConfigureAwait(false);
                return new System.Net.Sockets.NetworkStream(socket, ownsSocket: true);
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        };
        // Nothing is pooled: requests to two servers could name the same host.
        handler.PooledConnectionLifetime = TimeSpan.Zero;
        return handler;
    }

    /// <summary>Sends a request to an address, whatever its host says.</summary>
    public static void Address(HttpRequestMessage request, IPEndPoint address)
    {
        var uri = request.RequestUri!;
        request.Headers.Host ??= uri.Authority;
        request.RequestUri = new Uri($"http://{address}{(uri.PathAndQuery.Length > 0 ? uri.PathAndQuery : "/")}", _asWritten);
    }

    /// <summary>The same for a handler of <see cref="CreateForAbsoluteForm"/>.</summary>
    /// <param name="host">What the target names; null leaves the URI's.</param>
    public static void AddressAsProxy(HttpRequestMessage request, IPEndPoint address, string? host)
    {
        request.Options.Set(_address, address);
        if (host is { Length: > 0 } && request.RequestUri!.Authority != host)
        {
            request.RequestUri = new Uri($"http://{host}{request.RequestUri.PathAndQuery}", _asWritten);
        }
    }

    private sealed class Everywhere : IWebProxy
    {
        private static readonly Uri _uri = new("http://mesh.invalid:80");

        public ICredentials? Credentials { get; set; }

        public Uri GetProxy(Uri destination) => _uri;

        public bool IsBypassed(Uri host) => false;
    }
}
