using Mesh.Resilience;

namespace Mesh.Outbound;

/// <summary>The connections of one endpoint's handler, and the calls that wait for them. Thread-safe.</summary>
/// <remarks>
/// What the handler does inside is not to be seen, so who waits is reckoned: an HTTP/1.1 connection carries one call, an HTTP/2 one carries
/// <see cref="StreamsPerConnection"/>; calls beyond that wait. Reckoned only where the cluster limits them.
/// </remarks>
internal sealed class EndpointConnections(ConnectionLimits limits, TimeProvider time) : IDisposable
{
    /// <summary>What servers allow at least (RFC 9113 §6.5.2), and what Kestrel allows.</summary>
    public const int StreamsPerConnection = 100;

    private readonly Lock _lock = new();
    private readonly ReadyConnections _ready = new();

    // Guarded by _lock.
    private int _permits;
    private Side _http1;
    private Side _http2;
    private long _connectedAt = long.MinValue;
    private volatile bool _outdated;

    /// <summary>Timestamp of the latest connection.</summary>
    public long ConnectedAt => Volatile.Read(ref _connectedAt);

    /// <summary>A certificate that one of them rests on is about to end: calls to come belong on new ones.</summary>
    public bool IsOutdated => _outdated;

    /// <summary>Waiting calls are counted at all.</summary>
    public bool CountsWaiting => limits.CountsWaiting;

    /// <summary>Makes a connection that is not established yet; set by a transport that can.</summary>
    public Func<CancellationToken, ValueTask<ReadyConnection>>? Dial { get; set; }

    /// <summary>Connections that wait for calls.</summary>
    public int Ready => _ready.Count;

    /// <summary>Connections that are there, and whether more are being made.</summary>
    public (int Established, bool More) Look()
    {
        var ready = _ready.Count;
        lock (_lock)
        {
            var established = _http1.Open + _http2.Open + ready;
            return (established, _permits > established);
        }
    }

    /// <summary>Makes connections until so many are ready. Nothing when the transport has none of its own.</summary>
    /// <exception cref="IOException">One could not be made.</exception>
    public async Task WarmAsync(int count, CancellationToken cancellationToken)
    {
        _ready.DropDead();
        for (var missing = count - _ready.Count; missing > 0 && Dial is { } dial; missing--)
        {
            _ready.Add(await dial(cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>A connection for a call: a ready one, else a new one.</summary>
    public async ValueTask<ReadyConnection> TakeAsync(CancellationToken cancellationToken) =>
        await _ready.TakeAsync().ConfigureAwait(false) ?? await Dial!(cancellationToken).ConfigureAwait(false);

    /// <summary>No more calls: those that wait are closed.</summary>
    public void Dispose() => _ready.Dispose();

    /// <summary>A connection was made.</summary>
    public void Connected() => Volatile.Write(ref _connectedAt, time.GetTimestamp());

    /// <summary>A place for a connection that is about to be made; disposed when it is closed, or did not come about.</summary>
    /// <exception cref="ConnectionLimitException">The cluster has as many as it may.</exception>
    public ConnectionPermit Open()
    {
        lock (_lock)
        {
            if (!limits.TryOpen(evenBeyond: _permits == 0))
            {
                throw new ConnectionLimitException($"The cluster has {limits.MaxOpen} connections, which is its limit.");
            }

            _permits++;
        }

        return new ConnectionPermit(this);
    }

    /// <summary>A call begins. False when it would have to wait for a connection and as many as may do already.</summary>
    public bool TryEnter(bool http2)
    {
        lock (_lock)
        {
            ref var side = ref http2 ? ref _http2 : ref _http1;
            if (side.Calls >= side.Open * Capacity(http2))
            {
                if (!limits.TryWait())
                {
                    return false;
                }

                side.Waiting++;
            }

            side.Calls++;
            return true;
        }
    }

    /// <summary>A call that entered has ended.</summary>
    public void Exit(bool http2)
    {
        lock (_lock)
        {
            ref var side = ref http2 ? ref _http2 : ref _http1;
            side.Calls--;
            Settle(ref side, Capacity(http2));
        }
    }

    internal void Outdate() => _outdated = true;

    internal void Established(bool http2)
    {
        lock (_lock)
        {
            ref var side = ref http2 ? ref _http2 : ref _http1;
            side.Open++;
            Settle(ref side, Capacity(http2));
        }

        Connected();
    }

    /// <param name="http2">Null when it never was established.</param>
    internal void Closed(bool? http2)
    {
        lock (_lock)
        {
            _permits--;
            if (http2 is { } kind)
            {
                ref var side = ref kind ? ref _http2 : ref _http1;
                side.Open--;
            }
        }

        limits.Closed();
    }

    private static int Capacity(bool http2) => http2 ? StreamsPerConnection : 1;

    /// <summary>Nobody waits where there is room.</summary>
    private void Settle(ref Side side, int capacity)
    {
        var waiting = Math.Min(side.Waiting, Math.Max(0, side.Calls - (side.Open * capacity)));
        limits.StopWaiting(side.Waiting - waiting);
        side.Waiting = waiting;
    }

    private struct Side
    {
        public int Open;
        public int Calls;
        public int Waiting;
    }
}

/// <summary>One connection's place among those of its cluster. Thread-safe.</summary>
internal sealed class ConnectionPermit(EndpointConnections connections) : IDisposable
{
    private int _closed;
    private bool? _http2;

    /// <summary>The connection is there. Before that it counts, but carries nobody.</summary>
    public void Established(bool http2)
    {
        _http2 = http2;
        connections.Established(http2);
    }

    /// <summary>It is to carry no more calls.</summary>
    public void Outdate() => connections.Outdate();

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _closed, 1) == 0)
        {
            connections.Closed(_http2);
        }
    }
}

/// <summary>No connection was tried: the cluster has as many as it may.</summary>
internal sealed class ConnectionLimitException(string message) : IOException(message);
