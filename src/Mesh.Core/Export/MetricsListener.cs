using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;

namespace Mesh.Export;

/// <summary>Answers scrapes in processes that have no web server: HTTP/1.1, one request per connection, <c>GET</c> and <c>HEAD /metrics</c> alone. Off unless it is given an address.</summary>
/// <remarks>Few and short at a time: more connections than <see cref="MaxConnections"/> are closed, a head may take <see cref="MaxHeadBytes"/> and all of it <see cref="Longest"/>.</remarks>
internal sealed partial class MetricsListener(MetricsText metrics, TimeProvider time, ILogger<MetricsListener> logger) : IAsyncDisposable
{
    /// <summary>Scrapes at once.</summary>
    public const int MaxConnections = 16;

    private const int MaxHeadBytes = 8 * 1024;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _places = new(MaxConnections);
    private Socket? _listening;
    private Task _running = Task.CompletedTask;
    private int _stopped;

    /// <summary>Where it listens; null before <see cref="Start"/>.</summary>
    public IPEndPoint? EndPoint => _listening?.LocalEndPoint as IPEndPoint;

    /// <summary>A port on all addresses, or an address with one.</summary>
    public static bool TryParse(string text, out IPEndPoint endPoint)
    {
        if (ushort.TryParse(text, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var port))
        {
            endPoint = new IPEndPoint(IPAddress.IPv6Any, port);
            return true;
        }

        var read = IPEndPoint.TryParse(text, out var found) && text.EndsWith($":{found.Port}", StringComparison.Ordinal);
        endPoint = found ?? new IPEndPoint(IPAddress.None, 0);
        return read;
    }

    /// <summary>Binds at once.</summary>
    /// <exception cref="SocketException">The address is taken, or none of this machine's.</exception>
    public void Start(IPEndPoint endPoint)
    {
        var socket = Bind(endPoint);
        socket.Listen(MaxConnections);
        _listening = socket;
        var bound = EndPoint!;
        Log.Listens(logger, bound);
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => AcceptAsync(socket));
        }
    }

    /// <summary>Ends at once; a scrape that runs is broken off.</summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _stopped, 1) != 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        _listening?.Dispose();
        await _running.ConfigureAwait(false);
        for (var i = 0; i < MaxConnections; i++)
        {
            await _places.WaitAsync().ConfigureAwait(false);
        }

        _places.Dispose();
        _stop.Dispose();
    }

    private static Socket Bind(IPEndPoint endPoint)
    {
        var everywhere = endPoint.Address.Equals(IPAddress.IPv6Any);
        if (everywhere && !Socket.OSSupportsIPv6)
        {
            (endPoint, everywhere) = (new IPEndPoint(IPAddress.Any, endPoint.Port), false);
        }

        var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            if (everywhere)
            {
                socket.DualMode = true;
            }

            socket.Bind(endPoint);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task AcceptAsync(Socket listening)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await listening.AcceptAsync(_stop.Token).ConfigureAwait(false);
                if (await _places.WaitAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false))
                {
                    // Awaited by its place: the end waits for all of them.
                    _ = Task.Run(() => ServeAsync(socket), CancellationToken.None);
                }
                else
                {
                    socket.Dispose();
                }
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // One connection that did not come about, or no descriptor is left: the next one may.
                Log.AcceptFailed(logger, e);
                await Task.Delay(TimeSpan.FromMilliseconds(100), time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using var timed = new CancellationTokenSource(Longest, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timed.Token, _stop.Token);
            var stream = new NetworkStream(socket, ownsSocket: true);
            await using var owned = stream.ConfigureAwait(false);
            var head = await ReadHeadAsync(stream, either.Token).ConfigureAwait(false);
            if (head is not null)
            {
                await AnswerAsync(stream, head, either.Token).ConfigureAwait(false);
                socket.Shutdown(SocketShutdown.Send);
                // Until the other side has read it: what it still sends must not break the answer off.
                var rest = new byte[1024];
                for (var left = MaxHeadBytes; left > 0 && await stream.ReadAsync(rest, either.Token).ConfigureAwait(false) is > 0 and var read; left -= read)
                {
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // Who asked is gone, or too slow: the next scrape tells the same.
            Log.ScrapeBroken(logger, e);
        }
        catch (Exception e)
        {
            Log.ScrapeFailed(logger, e);
        }
        finally
        {
            socket.Dispose();
            _places.Release();
        }
    }

    /// <summary>Null when none came, or one too large.</summary>
    private static async Task<string[]?> ReadHeadAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var bytes = new byte[MaxHeadBytes];
        for (var length = 0; length < bytes.Length;)
        {
            var read = await stream.ReadAsync(bytes.AsMemory(length), cancellationToken).ConfigureAwait(false);
            if (read == 0)
            {
                return null;
            }

            length += read;
            var end = bytes.AsSpan(0, length).IndexOf("\r\n\r\n"u8);
            if (end >= 0)
            {
                return Encoding.Latin1.GetString(bytes, 0, end).Split("\r\n");
            }
        }

        return null;
    }

    private async Task AnswerAsync(NetworkStream stream, string[] head, CancellationToken cancellationToken)
    {
        if (head[0].Split(' ') is not [var method, var target, "HTTP/1.1" or "HTTP/1.0"])
        {
            await WriteAsync(stream, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", cancellationToken).ConfigureAwait(false);
            return;
        }

        if (target.Split('?')[0] != "/metrics")
        {
            await WriteAsync(stream, "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", cancellationToken).ConfigureAwait(false);
            return;
        }

        if (method is not ("GET" or "HEAD"))
        {
            await WriteAsync(stream, "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", cancellationToken).ConfigureAwait(false);
            return;
        }

        var accept = string.Join(',', head.Skip(1).Where(h => h.StartsWith("accept:", StringComparison.OrdinalIgnoreCase)).Select(h => h["accept:".Length..]));
        var format = TextFormats.Negotiate(accept);
        // The end of the connection ends the body (RFC 9112 §6.3).
        await WriteAsync(stream, $"HTTP/1.1 200 OK\r\nContent-Type: {format.ContentType()}\r\nConnection: close\r\n\r\n", cancellationToken).ConfigureAwait(false);
        if (method == "GET")
        {
            foreach (var part in metrics.Parts(format))
            {
                await WriteAsync(stream, part, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private static ValueTask WriteAsync(NetworkStream stream, string text, CancellationToken cancellationToken) => stream.WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);

    private static partial class Log
    {
        [LoggerMessage(3280, LogLevel.Information, "Metrics are scraped at {EndPoint}, path /metrics", EventName = nameof(Listens))]
        public static partial void Listens(ILogger logger, IPEndPoint endPoint);

        [LoggerMessage(3281, LogLevel.Warning, "A connection of a scraper could not be accepted", EventName = nameof(AcceptFailed))]
        public static partial void AcceptFailed(ILogger logger, Exception exception);

        [LoggerMessage(3283, LogLevel.Error, "A scrape could not be answered. Report this", EventName = nameof(ScrapeFailed))]
        public static partial void ScrapeFailed(ILogger logger, Exception exception);

        [LoggerMessage(3282, LogLevel.Debug, "A scrape was broken off", EventName = nameof(ScrapeBroken))]
        public static partial void ScrapeBroken(ILogger logger, Exception exception);
    }
}
