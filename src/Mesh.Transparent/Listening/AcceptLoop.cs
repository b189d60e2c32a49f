using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;

namespace Mesh.Transparent.Listening;

/// <summary>Accepts sockets at some addresses and counts them until their service has ended.</summary>
/// <remarks>TCP keep-alive after 10 s and three tries of 5 s: a peer that is gone without a word is found, however long streams are silent otherwise (Linkerd's accept keep-alive).</remarks>
/// <param name="serve">Owns the socket; what it throws is logged.</param>
internal sealed partial class AcceptLoop(string name, Func<Socket, Task> serve, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan _pauseAfterError = TimeSpan.FromMilliseconds(100);
    private readonly List<Socket> _listening = [];
    private readonly List<Task> _loops = [];
    private readonly CancellationTokenSource _stopping = new();
    private int _active;

    /// <summary>Connections that are served now.</summary>
    public int Active => Volatile.Read(ref _active);

    /// <summary>As bound.</summary>
    public IReadOnlyList<IPEndPoint> Endpoints => [.. _listening.Select(s => (IPEndPoint)s.LocalEndPoint!)];

    /// <exception cref="SocketException">An address can't be bound.</exception>
    public void Start(IReadOnlyList<IPEndPoint> endpoints)
    {
        foreach (var endpoint in endpoints)
        {
            var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            _listening.Add(socket);
            if (endpoint.Address.Equals(IPAddress.IPv6Any))
            {
                socket.DualMode = true;
            }

            socket.Bind(endpoint);
            socket.Listen(4096);
        }

        using (ExecutionContext.SuppressFlow())
        {
            foreach (var socket in _listening)
            {
                _loops.Add(Task.Run(() => AcceptAsync(socket)));
            }
        }
    }

    /// <summary>No more connections; those that are served go on.</summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listening.ForEach(s => s.Dispose());
        await Task.WhenAll(_loops).ConfigureAwait(false);
    }

    /// <summary>Waits until all that was accepted has been served, or <paramref name="cancellationToken"/> ends.</summary>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20), time);
        try
        {
            while (Active > 0)
            {
                await tick.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // What is left is broken off.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _stopping.Dispose();
    }

    private async Task AcceptAsync(Socket listening)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var socket = await listening.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                Interlocked.Increment(ref _active);
                // Counted, and it catches all itself.
                _ = ServeAsync(socket);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // Too many open files, or a client that left before it was accepted.
                Log.AcceptFailed(logger, name, e.Message);
                await Task.Delay(_pauseAfterError, time, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            socket.NoDelay = true;
            socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
            socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
            await serve(socket).ConfigureAwait(false);
        }
        catch (Exception e) when (e is SocketException or IOException or OperationCanceledException or ObjectDisposedException)
        {
            Log.ConnectionBroke(logger, name, e.Message);
            socket.Dispose();
        }
        catch (Exception e)
        {
            Log.ConnectionFailed(logger, name, e);
            socket.Dispose();
        }
        finally
        {
            Interlocked.Decrement(ref _active);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(6000, LogLevel.Warning, "{Side}: a connection could not be accepted: {Reason}", EventName = nameof(AcceptFailed))]
        public static partial void AcceptFailed(ILogger logger, string side, string reason);

        [LoggerMessage(6001, LogLevel.Debug, "{Side}: a connection broke: {Reason}", EventName = nameof(ConnectionBroke))]
        public static partial void ConnectionBroke(ILogger logger, string side, string reason);

        [LoggerMessage(6002, LogLevel.Error, "{Side}: a connection could not be served", EventName = nameof(ConnectionFailed))]
        public static partial void ConnectionFailed(ILogger logger, string side, Exception error);
    }
}
