namespace Mesh.Outbound;

/// <summary>Connections of one endpoint that are made, TLS included, and carry nothing yet. Thread-safe.</summary>
/// <remarks>The client's own pool would open one only for a request. Each is watched while it waits: one that its server closed is not handed out.</remarks>
internal sealed class ReadyConnections : IDisposable
{
    private readonly Lock _lock = new();
    private readonly List<ReadyConnection> _waiting = [];
    private bool _disposed;

    /// <summary>Those that were alive when last looked at.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _waiting.Count(c => !c.IsDead);
            }
        }
    }

    /// <summary>Keeps one; closes it when nobody will ask any more.</summary>
    public void Add(ReadyConnection connection)
    {
        connection.Watch();
        lock (_lock)
        {
            if (!_disposed)
            {
                _waiting.Add(connection);
                return;
            }
        }

        connection.Dispose();
    }

    /// <summary>The youngest that is alive; null when there is none.</summary>
    public async ValueTask<ReadyConnection?> TakeAsync()
    {
        while (true)
        {
            ReadyConnection? youngest;
            lock (_lock)
            {
                if (_waiting.Count == 0)
                {
                    return null;
                }

                youngest = _waiting[^1];
                _waiting.RemoveAt(_waiting.Count - 1);
            }

            if (await youngest.IsAliveAsync().ConfigureAwait(false))
            {
                return youngest;
            }

            youngest.Dispose();
        }
    }

    /// <summary>Closes those that their servers left.</summary>
    public void DropDead()
    {
        ReadyConnection[] dead;
        lock (_lock)
        {
            dead = [.. _waiting.Where(c => c.IsDead)];
            _waiting.RemoveAll(dead.Contains);
        }

        foreach (var connection in dead)
        {
            connection.Dispose();
        }
    }

    public void Dispose()
    {
        ReadyConnection[] left;
        lock (_lock)
        {
            _disposed = true;
            left = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var connection in left)
        {
            connection.Dispose();
        }
    }
}

/// <summary>A connection and its place among those of its cluster. Used by one owner at a time.</summary>
internal sealed class ReadyConnection(Stream stream, ConnectionPermit permit) : IDisposable
{
    private readonly CancellationTokenSource _taken = new();
    private Task<bool>? _watch;

    public Stream Stream => stream;

    public ConnectionPermit Permit => permit;

    /// <summary>Its server closed it, or spoke first, which none does that we can use.</summary>
    public bool IsDead => _watch is { IsCompleted: true };

    /// <summary>Looks from now on whether the server closes it.</summary>
    public void Watch() => _watch = WatchAsync();

    /// <summary>Ends the watch: it is to carry calls now.</summary>
    public async ValueTask<bool> IsAliveAsync()
    {
        await _taken.CancelAsync().ConfigureAwait(false);
        return await _watch!.ConfigureAwait(false);
    }

    public void Dispose()
    {
        _taken.Cancel();
        stream.Dispose();
        permit.Dispose();
        _taken.Dispose();
    }

    /// <summary>True when it was taken while it waited. A read of no bytes takes none away; what TLS itself has to say is taken in.</summary>
    private async Task<bool> WatchAsync()
    {
        try
        {
            await stream.ReadAsync(Memory<byte>.Empty, _taken.Token).ConfigureAwait(false);
            return false;
        }
        catch (OperationCanceledException)
        {
            return true;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return false;
        }
    }
}
