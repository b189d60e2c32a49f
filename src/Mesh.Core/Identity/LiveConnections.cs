using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

/// <summary>Ends live connections when what they rest on ends: the peer is no longer believed, a certificate is over, ours was replaced. Thread-safe.</summary>
/// <remarks>
/// A peer that a new bundle does not believe is cut off at once. When our certificate was replaced, connections made with the old one are asked to end over the first half of
/// what it has left, at most <see cref="LongestDrain"/>, spread by chance; what still runs is closed <see cref="Margin"/> before the old one ends. Peers that are not ours may go on with a connection whose certificate they replaced:
/// it is asked to end in the last quarter of what it has left when it is made, at most <see cref="LongestDrain"/> before that <see cref="Margin"/>, and closed at the end. All others go on.
/// </remarks>
internal sealed partial class LiveConnections : IDisposable
{
    /// <summary>Over how long connections of a replaced certificate are asked to end.</summary>
    public static readonly TimeSpan LongestDrain = TimeSpan.FromMinutes(1);

    /// <summary>Looks at most so long apart: a clock that jumped is noticed.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);

    /// <summary>Looks at least so long apart: many connections that end at different moments do not cost a look each.</summary>
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly HashSet<Entry> _entries = [];
    private readonly IWorkloadIdentitySource _identities;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _logger;
    private readonly ITimer _timer;
    private readonly IDisposable _subscription;
    private DateTimeOffset _next = DateTimeOffset.MaxValue;
    private bool _disposed;

    /// <param name="random">Used under the lock alone.</param>
    public LiveConnections(IWorkloadIdentitySource identities, TimeProvider time, Random random, ILogger<LiveConnections> logger)
    {
        (_identities, _time, _random, _logger) = (identities, time, random, logger);
        using (ExecutionContext.SuppressFlow())
        {
            _timer = time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }

        _subscription = identities.Subscribe(_ => Look());
    }

    /// <summary>How many there are.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _entries.Count;
            }
        }
    }

    /// <summary>What is kept back before a replaced certificate's end.</summary>
    public static TimeSpan Margin(TimeSpan left)
    {
        var tenth = left / 10;
        return tenth < TimeSpan.FromSeconds(10) ? tenth : TimeSpan.FromSeconds(10);
    }

    /// <summary>Watches a connection until the result is disposed. One that is not believed any more is closed here.</summary>
    public IDisposable Add(LiveConnection connection)
    {
        var entry = new Entry(this, connection);
        Due due;
        lock (_lock)
        {
            if (!_disposed)
            {
                _entries.Add(entry);
            }

            var now = _time.GetUtcNow();
            entry.PeerDrainAt = PeerDrainAt(connection.Peer.NotAfter, now);
            due = JudgeLocked(entry, _identities.Current, now);
            ScheduleLocked(entry.Next);
        }

        Act(due);
        return entry;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _entries.Clear();
        }

        _subscription.Dispose();
        _timer.Dispose();
    }

    private DateTimeOffset PeerDrainAt(DateTimeOffset end, DateTimeOffset now)
    {
        var left = end > now ? end - now : TimeSpan.Zero;
        var over = left / 4 < LongestDrain ? left / 4 : LongestDrain;
        return end - Margin(left) - (over * _random.NextDouble());
    }

    private void Look()
    {
        List<Due> all = [];
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            var (current, now, next) = (_identities.Current, _time.GetUtcNow(), DateTimeOffset.MaxValue);
            foreach (var entry in _entries)
            {
                var due = JudgeLocked(entry, current, now);
                if (due.Connection is not null)
                {
                    all.Add(due);
                }

                next = entry.Next < next ? entry.Next : next;
            }

            _next = DateTimeOffset.MaxValue;
            ScheduleLocked(next);
        }

        foreach (var due in all)
        {
            Act(due);
        }
    }

    /// <summary>What is to be done with it now. Each is returned once.</summary>
    private Due JudgeLocked(Entry entry, WorkloadIdentity? current, DateTimeOffset now)
    {
        var connection = entry.Connection;
        if (entry.IsClosed)
        {
            return default;
        }

        if (current is not null && current.Generation != entry.Judged)
        {
            entry.Judged = current.Generation;
            if (connection.Recheck(current) is { } refusal)
            {
                return entry.Close(refusal.Reason, refusal.Problem);
            }

            if (entry.DrainAt is null && connection.Identity is { } shown && shown.LeafGeneration < current.LeafGeneration)
            {
                var left = shown.Svid.NotAfter - now;
                left = left > TimeSpan.Zero ? left : TimeSpan.Zero;
                var over = left / 2 < LongestDrain ? left / 2 : LongestDrain;
                (entry.DrainAt, entry.CloseAt) = (now + (over * _random.NextDouble()), now + left - Margin(left));
            }
        }

        if (now >= connection.Peer.NotAfter)
        {
            return entry.Close(PeerRefusals.Expired, $"The certificate of '{connection.Peer}' ended at {connection.Peer.NotAfter:u}.");
        }

        if (connection.Identity is { } own)
        {
            if (entry.DrainAt is null ? now >= own.Svid.NotAfter : now >= entry.CloseAt)
            {
                return entry.DrainAt is null
                    ? entry.Close(ConnectionEnds.Over, $"Our certificate ended at {own.Svid.NotAfter:u}.")
                    : entry.Close(ConnectionEnds.Replaced, $"It was made with our certificate that ends at {own.Svid.NotAfter:u} and was replaced.");
            }

        }

        if (!entry.IsDraining && (now >= entry.DrainAt || now >= entry.PeerDrainAt))
        {
            entry.IsDraining = true;
            return new Due(connection, null, null);
        }

        return default;
    }

    private void ScheduleLocked(DateTimeOffset next)
    {
        if (_disposed || next >= _next)
        {
            return;
        }

        _next = next;
        var wait = next - _time.GetUtcNow();
        _timer.Change(wait < ShortestWait ? ShortestWait : wait > LongestWait ? LongestWait : wait, Timeout.InfiniteTimeSpan);
    }

    private void Act(Due due)
    {
        if (due.Reason is not null)
        {
            Log.Closed(_logger, due.Connection!.Peer.ToString(), due.Problem!);
            due.Connection.Close(due.Reason, due.Problem!);
        }
        else
        {
            due.Connection?.Drain();
        }
    }

    private void Remove(Entry entry)
    {
        lock (_lock)
        {
            _entries.Remove(entry);
        }
    }

    /// <param name="Connection">Null: nothing is to be done.</param>
    /// <param name="Reason">Null: it is to drain.</param>
    private readonly record struct Due(LiveConnection? Connection, string? Reason, string? Problem);

    /// <summary>Guarded by the owner's lock.</summary>
    private sealed class Entry(LiveConnections owner, LiveConnection connection) : IDisposable
    {
        public LiveConnection Connection => connection;

        public bool IsClosed { get; private set; }

        public bool IsDraining { get; set; }

        /// <summary>Set once our certificate was replaced.</summary>
        public DateTimeOffset? DrainAt { get; set; }

        public DateTimeOffset CloseAt { get; set; }

        /// <summary>Before the peer's certificate ends.</summary>
        public DateTimeOffset PeerDrainAt { get; set; }

        /// <summary>The generation that it was last judged under.</summary>
        public int Judged { get; set; } = connection.Identity?.Generation ?? 0;

        /// <summary>When something is due next.</summary>
        public DateTimeOffset Next
        {
            get
            {
                if (IsClosed)
                {
                    return DateTimeOffset.MaxValue;
                }

                var own = DrainAt is { } drainAt ? IsDraining ? CloseAt : Min(drainAt, CloseAt) : connection.Identity?.Svid.NotAfter ?? DateTimeOffset.MaxValue;
                return Min(own, IsDraining ? connection.Peer.NotAfter : PeerDrainAt);
            }
        }

        public Due Close(string reason, string problem)
        {
            IsClosed = true;
            return new Due(connection, reason, problem);
        }

        public void Dispose() => owner.Remove(this);

        private static DateTimeOffset Min(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;
    }
}
