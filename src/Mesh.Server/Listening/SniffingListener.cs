using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Threading.Channels;
using Mesh.Inbound;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.Extensions.Logging;

namespace Mesh.Server.Listening;

/// <summary>Stands before one endpoint of the app: looks at the first bytes of each connection, gives mesh TLS to the mesh's server and all else, untouched, to the app's.</summary>
internal sealed partial class SniffingListener : IConnectionListener
{
    /// <summary>A client that says nothing for so long is the app's business.</summary>
    private static readonly TimeSpan LongestSniff = TimeSpan.FromSeconds(10);

    /// <summary>What a connection still being looked at gets when the endpoint closes.</summary>
    private static readonly TimeSpan UnbindGrace = TimeSpan.FromSeconds(1);

    /// <summary>What mesh connections get to finish when this endpoint alone is rebound; Kestrel gives its own as much.</summary>
    private static readonly TimeSpan RebindGrace = TimeSpan.FromSeconds(5);

    private readonly IConnectionListener _inner;
    private readonly MeshGate _gate;
    private readonly JudgedConnections _connections;
    private readonly CountedConnections _counted;
    private readonly TimeProvider _time;
    private readonly InboundAddress? _address;
    private readonly ILogger _logger;
    private readonly Channel<ConnectionContext> _passed = Channel.CreateUnbounded<ConnectionContext>();
    private readonly ConcurrentDictionary<HandedConnection, byte> _handed = new();
    private readonly CancellationTokenSource _unbinding = new();
    private readonly TaskCompletionSource _sorted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _accepting;
    private int _sorting = 1;

    public SniffingListener(IConnectionListener inner, MeshGate gate, ILogger logger)
    {
        _inner = inner;
        _gate = gate;
        // Now: an app that is disposed without being stopped closes us when there are no services any more.
        (_connections, _counted, _time) = (gate.Connections, gate.Counted, gate.Time);
        _logger = logger;
        _address = inner.EndPoint is IPEndPoint bound ? gate.Table.Open(bound) : null;
        using (ExecutionContext.SuppressFlow())
        {
            _accepting = Task.Run(AcceptAllAsync);
        }
    }

    public EndPoint EndPoint => _inner.EndPoint;

    public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
    {
        while (await _passed.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_passed.Reader.TryRead(out var connection))
            {
                return connection;
            }
        }

        return null;
    }

    public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
    {
        await _inner.UnbindAsync(cancellationToken).ConfigureAwait(false);
        _unbinding.CancelAfter(UnbindGrace);
        foreach (var connection in _handed.Keys)
        {
            // HTTP/2: GOAWAY; HTTP/1: connection: close. What runs ends first.
            connection.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _unbinding.CancelAsync().ConfigureAwait(false);
        await DrainHandedAsync().ConfigureAwait(false);
        // The sockets' memory goes with the inner listener: last.
        await _inner.DisposeAsync().ConfigureAwait(false);
        await _accepting.ConfigureAwait(false);
        while (_passed.Reader.TryRead(out var connection))
        {
            await CloseAsync(connection).ConfigureAwait(false);
        }

        if (_address is not null)
        {
            _connections.Forget(_address);
            _gate.Table.Close(_address);
        }

        _unbinding.Dispose();
    }

    private async Task DrainHandedAsync()
    {
        if (_gate.IsStopping)
        {
            await _gate.Drained.ConfigureAwait(false);
            return;
        }

        var started = _time.GetTimestamp();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (!_handed.IsEmpty && await tick.WaitForNextTickAsync().ConfigureAwait(false))
        {
            if (_time.GetElapsedTime(started) > RebindGrace)
            {
                foreach (var connection in _handed.Keys)
                {
                    connection.Abort();
                }

                return;
            }
        }
    }

    private async Task AcceptAllAsync()
    {
        Exception? error = null;
        try
        {
            while (await _inner.AcceptAsync().ConfigureAwait(false) is { } connection)
            {
                Interlocked.Increment(ref _sorting);
                // Counted, so that the end waits for it; it catches all itself.
                _ = SortAsync(connection);
            }
        }
        catch (Exception e)
        {
            error = e;
        }

        SortedOne();
        await _sorted.Task.ConfigureAwait(false);
        // Kestrel's accept loop logs the error as it would without us.
        _passed.Writer.TryComplete(error);
    }

    private async Task SortAsync(ConnectionContext connection)
    {
        try
        {
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(_unbinding.Token);
            patience.CancelAfter(LongestSniff);
            var first = await SniffAsync(connection, patience.Token).ConfigureAwait(false);
            var isMesh = first switch
            {
                FirstBytes.MeshTls => true,
                FirstBytes.Tls => await EndsHereAsync(connection, patience.Token).ConfigureAwait(false),
                _ => false,
            };
            var mesh = new MeshConnectionFeature(_address, first, isMesh, Name(connection.LocalEndPoint));
            connection.Features.Set(mesh);
            if (!isMesh)
            {
                if (await IsAdmittedAsync(connection, mesh, patience.Token).ConfigureAwait(false))
                {
                    _passed.Writer.TryWrite(connection);
                }
                else
                {
                    await CloseAsync(connection).ConfigureAwait(false);
                }

                return;
            }

            var handed = new HandedConnection(connection, ended => _handed.TryRemove(ended, out _));
            _handed.TryAdd(handed, 0);
            if (!_gate.MeshConnections.Offer(handed))
            {
                connection.Abort();
                await handed.DisposeAsync().ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            // The peer went, or nobody could say in time whether mesh TLS ends here.
            Log.ConnectionDropped(_logger, connection.ConnectionId, e.Message);
            await CloseAsync(connection).ConfigureAwait(false);
        }
        finally
        {
            SortedOne();
        }
    }

    /// <summary>Looks and consumes nothing.</summary>
    private async ValueTask<FirstBytes> SniffAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        var first = await LookAsync<FirstBytes?>(
            connection, read => ClientHello.Read(read.Buffer) is var seen && (seen != FirstBytes.Incomplete || read.Buffer.Length > 2 * ClientHello.MaxBytes) ? seen : null, cancellationToken).ConfigureAwait(false);
        return first ?? FirstBytes.Incomplete;
    }

    /// <summary>Whether a connection that is not mesh TLS may go to the app: not where connections are judged and this one is denied, nor where only requests could be judged and it brings none.</summary>
    private async ValueTask<bool> IsAdmittedAsync(ConnectionContext connection, MeshConnectionFeature mesh, CancellationToken cancellationToken)
    {
        if (_address is null)
        {
            return true;
        }

        if (_address.Policy is not { } policy)
        {
            // Requests wait for the policy themselves, and probes are answered; anything else waits here.
            if (!mesh.IsPlaintext || await IsHttpAsync(connection, cancellationToken).ConfigureAwait(false))
            {
                return true;
            }

            policy = await _address.GetAsync(cancellationToken).ConfigureAwait(false);
        }

        // Where nothing is restricted nobody waits for more bytes: what came tells, or it is taken for HTTP.
        var isRestricted = !policy.Plaintext || policy.OtherAuthorizer is not null;
        var bringsRequests = !mesh.IsPlaintext
            || (!policy.OtherIsOpaque && (isRestricted ? await IsHttpAsync(connection, cancellationToken).ConfigureAwait(false) : !IsSurelyNotHttp(connection)));
        if (!_connections.Admits(connection, mesh, bringsRequests))
        {
            return false;
        }

        if (!bringsRequests || policy.IsOpaque(mesh.IsMeshTls))
        {
            _counted.Begin(connection, mesh);
        }

        return true;
    }

    private static bool IsSurelyNotHttp(ConnectionContext connection)
    {
        if (!connection.Transport.Input.TryRead(out var read))
        {
            return false;
        }

        var isHttp = HttpStart.Is(read.Buffer);
        connection.Transport.Input.AdvanceTo(read.Buffer.Start);
        return isHttp == false;
    }

    private async ValueTask<bool> IsHttpAsync(ConnectionContext connection, CancellationToken cancellationToken) =>
        await LookAsync(connection, static read => HttpStart.Is(read.Buffer), cancellationToken).ConfigureAwait(false) ?? false;

    /// <summary>Looks until it can be told what it is; consumes nothing. Null when it ended or nothing came in time.</summary>
    private async ValueTask<T?> LookAsync<T>(ConnectionContext connection, Func<ReadResult, T?> look, CancellationToken cancellationToken)
    {
        var input = connection.Transport.Input;
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(cancellationToken).ConfigureAwait(false);
                var seen = look(read);
                if (seen is not null || read.IsCompleted)
                {
                    // Nothing examined: the next reader sees all of it at once.
                    input.AdvanceTo(read.Buffer.Start);
                    return seen;
                }

                input.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            }
        }
        catch (OperationCanceledException) when (!_unbinding.IsCancellationRequested)
        {
            return default;
        }
    }

    /// <summary>TLS without the marker is ours only where the listener says so and the app has none of its own.</summary>
    private async ValueTask<bool> EndsHereAsync(ConnectionContext connection, CancellationToken cancellationToken)
    {
        if (_address is null || connection.LocalEndPoint is not IPEndPoint local || await _gate.AppEndsTlsAsync(local.Port, cancellationToken).ConfigureAwait(false))
        {
            return false;
        }

        return (await _address.GetAsync(cancellationToken).ConfigureAwait(false)).MeshTls;
    }

    private void SortedOne()
    {
        if (Interlocked.Decrement(ref _sorting) == 0)
        {
            _sorted.TrySetResult();
        }
    }

    private static async ValueTask CloseAsync(ConnectionContext connection)
    {
        connection.Abort();
        await connection.DisposeAsync().ConfigureAwait(false);
    }

    private static string Name(EndPoint? local) => local switch
    {
        IPEndPoint { Address.IsIPv4MappedToIPv6: true } ip => new IPEndPoint(ip.Address.MapToIPv4(), ip.Port).ToString(),
        null => "unknown",
        _ => local.ToString() ?? "unknown",
    };
}
