using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Mesh.Jwt;

namespace Mesh.Policy;

/// <summary>Fetches key sets of issuers by connections that nobody's handler or filter sees. Thread-safe.</summary>
/// <remarks>
/// Believes as little as it can: https (unless the operator allows http), no redirect, no proxy, no cookie, no compression, at most <see cref="JsonWebKeySet.MaxBytes"/>,
/// and only addresses that the <see cref="FetchGuard"/> lets pass, checked at each connection.
/// </remarks>
internal sealed class JwksFetcher : IDisposable
{
    // A connection is not kept for the next fetch, whose name may lead elsewhere by then.
    private static readonly TimeSpan _idle = TimeSpan.FromSeconds(1);

    // Of attempts that nobody waits for any more.
    private static readonly TimeSpan _longestConnect = TimeSpan.FromSeconds(5);
    private readonly HttpMessageInvoker _invoker;
    private readonly FetchGuard _guard;
    private readonly bool _allowHttp;
    private readonly TimeProvider _time;
    private readonly Func<string, CancellationToken, Task<IPAddress[]>> _resolve;

    /// <param name="resolve">Addresses of a name; null asks the system.</param>
    public JwksFetcher(FetchGuard guard, bool allowHttp, TimeProvider time, Func<string, CancellationToken, Task<IPAddress[]>>? resolve = null)
    {
        (_guard, _allowHttp, _time) = (guard, allowHttp, time);
        _resolve = resolve ?? Dns.GetHostAddressesAsync;
        _invoker = new HttpMessageInvoker(
            new SocketsHttpHandler
            {
                AllowAutoRedirect = false,
                UseCookies = false,
                UseProxy = false,
                AutomaticDecompression = DecompressionMethods.None,
                ActivityHeadersPropagator = null,
                MeterFactory = SilentMeters.Instance,
                MaxResponseHeadersLength = 16,
                PooledConnectionIdleTimeout = _idle,
                ConnectTimeout = _longestConnect,
                ConnectCallback = ConnectAsync,
            });
    }

    /// <exception cref="JwksException">It could not be had; says why.</exception>
    public async Task<FetchedKeys> FetchAsync(Uri uri, TimeSpan timeout, CancellationToken stopping)
    {
        if (uri.Scheme != Uri.UriSchemeHttps && !_allowHttp)
        {
            throw new JwksException("the address is http. Use https, or set Mesh:Jwks:AllowHttp");
        }

        using var timed = new CancellationTokenSource(timeout, _time);
        using var ends = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, stopping);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, uri);
            request.Headers.TryAddWithoutValidation("Accept", "application/json, application/jwk-set+json");
            using var response = await _invoker.SendAsync(request, ends.Token).ConfigureAwait(false);
            return await ReadAsync(response, ends.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new JwksException(stopping.IsCancellationRequested ? "the program stops" : string.Create(CultureInfo.InvariantCulture, $"no whole answer came in {timeout.TotalSeconds:0.###} s"), e);
        }
        catch (HttpRequestException e)
        {
            throw e.InnerException as JwksException ?? new JwksException(e.HttpRequestError == HttpRequestError.Unknown ? e.Message : $"{e.HttpRequestError}: {e.Message}", e);
        }
        catch (IOException e)
        {
            throw new JwksException(e.Message, e);
        }
    }

    public void Dispose() => _invoker.Dispose();

    private static async Task<FetchedKeys> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.StatusCode != HttpStatusCode.OK)
        {
            throw new JwksException(string.Create(CultureInfo.InvariantCulture, $"the answer has the status {(int)response.StatusCode}{((int)response.StatusCode is >= 300 and < 400 ? "; redirects are not followed" : string.Empty)}"));
        }

        if (response.Content.Headers.ContentEncoding.Count > 0)
        {
            throw new JwksException("the answer is compressed, which was not asked for");
        }

        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            // One byte more than may be, to see that there is more.
            var body = new byte[JsonWebKeySet.MaxBytes + 1];
            var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellationToken).ConfigureAwait(false);
            if (length > JsonWebKeySet.MaxBytes)
            {
                throw new JwksException(string.Create(CultureInfo.InvariantCulture, $"the answer is longer than {JsonWebKeySet.MaxBytes} bytes"));
            }

            if (!JsonWebKeySet.TryParse(body.AsMemory(0, length), out var set, out var problem))
            {
                throw new JwksException($"the answer {problem}");
            }

            var cache = response.Headers.CacheControl;
            return new FetchedKeys(set, cache is { NoStore: true } or { NoCache: true } ? TimeSpan.Zero : cache?.MaxAge);
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var host = context.DnsEndPoint.Host;
        IPAddress[] addresses;
        try
        {
            addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await _resolve(host, cancellationToken).ConfigureAwait(false);
        }
        catch (SocketException e)
        {
            throw new JwksException($"the name '{host}' has no address: {e.Message}", e);
        }

        var open = addresses.Where(a => _guard.WhyNot(a) is null).ToArray();
        if (open.Length == 0)
        {
            throw new JwksException(addresses is [var first, ..]
                ? $"'{host}' is {first}, which is {_guard.WhyNot(first)}. If it is meant, allow its network in Mesh:Jwks:AllowedNetworks"
                : $"the name '{host}' has no address");
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(open, context.DnsEndPoint.Port, cancellationToken).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Nobody's <c>http.client.*</c> shows the fetches of the mesh (contracts §6).</summary>
    private sealed class SilentMeters : IMeterFactory
    {
        public static readonly SilentMeters Instance = new();
        private readonly Meter _meter = new("Mesh.Silent");

        public Meter Create(MeterOptions options) => _meter;

        public void Dispose()
        {
        }
    }
}

/// <summary>What came of a fetch.</summary>
/// <param name="MaxAge">For which the issuer says it may be kept; null when it says nothing.</param>
internal sealed record FetchedKeys(JsonWebKeySet Set, TimeSpan? MaxAge);
