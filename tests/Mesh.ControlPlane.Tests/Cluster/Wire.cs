using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Mesh.ControlPlane.Tests.Cluster;

/// <summary>A wire between one replica and the API server, to be cut and mended: what passes it is not looked at.</summary>
internal sealed class Wire : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly Func<Uri?> _target;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<TcpClient, byte> _open = new();
    private readonly Task _running;
    private volatile bool _cut;
    private long _held;

    public Wire(Uri target)
        : this(() => target)
    {
    }

    /// <param name="target">Asked for each connection, as a Service picks one of its endpoints; null: there is none.</param>
    public Wire(Func<Uri?> target)
    {
        _target = target;
        _listener.Start();
        Address = new Uri($"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}/");
        _running = Task.Run(AcceptAsync);
    }

    public Uri Address { get; }

    /// <summary>Connections that came while it was cut.</summary>
    public long Refused => Interlocked.Read(ref _held);

    /// <summary>Breaks what is open, and lets nothing new through.</summary>
    public void Cut()
    {
        _cut = true;
        foreach (var client in _open.Keys)
        {
            client.Dispose();
        }
    }

    public void Mend() => _cut = false;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        Cut();
        _listener.Stop();
        await _running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            var client = await _listener.AcceptTcpClientAsync(_stop.Token);
            if (_cut || _target() is not { } target)
            {
                Interlocked.Increment(ref _held);
                client.Dispose();
                continue;
            }

            _ = CarryAsync(client, target);
        }
    }

    private async Task CarryAsync(TcpClient client, Uri target)
    {
        using var server = new TcpClient();
        try
        {
            _open[client] = 0;
            await server.ConnectAsync(target.Host, target.Port, _stop.Token);
            _open[server] = 0;
            var there = client.GetStream().CopyToAsync(server.GetStream(), _stop.Token);
            var back = server.GetStream().CopyToAsync(client.GetStream(), _stop.Token);
            await Task.WhenAny(there, back);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException or InvalidOperationException)
        {
            // Cut, or either side closed.
        }
        finally
        {
            _open.TryRemove(client, out _);
            _open.TryRemove(server, out _);
            client.Dispose();
        }
    }
}
