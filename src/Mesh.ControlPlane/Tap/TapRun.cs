using System.Collections.Concurrent;
using System.Threading.Channels;
using Mesh.Protos.Tap;

namespace Mesh.ControlPlane.Tap;

/// <summary>What became of what a tap saw, since it began.</summary>
/// <param name="Seen">What its filter let through, in all data planes.</param>
/// <param name="Sent">Handed to who looks.</param>
/// <param name="Dropped">Seen, and too many.</param>
internal readonly record struct TapTotals(int DataPlanes, long Seen, long Sent, long Dropped)
{
    /// <summary>0–1.</summary>
    public double Sampled => Seen <= Sent || Seen == 0 ? 1 : (double)Sent / Seen;

    public TapTotals Plus(TapTotals other) => new(DataPlanes + other.DataPlanes, Seen + other.Seen, Sent + other.Sent, Dropped + other.Dropped);
}

/// <summary>One tap over the data planes of this replica: asks them, and gathers what they report. Ends with <see cref="Dispose"/>.</summary>
/// <remarks>Whoever reads it calls <see cref="Arrange"/> each second, and reads on; reports come from other threads.</remarks>
internal sealed class TapRun(string id, TapQuestion question, TapHub hub, ChannelWriter<TapEvent>? to, TimeProvider time) : IDisposable
{
    private readonly Channel<TapEvent> _events = Channel.CreateBounded<TapEvent>(TapWatch.MostWaiting);
    private readonly ConcurrentDictionary<TapSession, Part> _parts = new();
    private readonly Lock _lock = new();

    // Of data planes that have left.
    private long _goneSeen;
    private long _goneDropped;
    private long _sent;
    private long _dropped;

    // GCRA, under the lock.
    private long _due;

    public string Id => id;

    /// <summary>Empty when they go elsewhere.</summary>
    public ChannelReader<TapEvent> Events => _events.Reader;

    /// <summary>What is shown at most; when several replicas ask, each has its part.</summary>
    public double MaxPerSecond { get; set; } = question.MaxPerSecond;

    /// <summary>Who attends elsewhere, and reports its own calls there.</summary>
    public IReadOnlyList<string> AttendElsewhere { get; set; } = [];

    /// <summary>Who attends here, as of the last <see cref="Arrange"/>.</summary>
    public IReadOnlyList<string> AttendHere { get; private set; } = [];

    /// <summary>Whose processes are asked here, by their node ids.</summary>
    public IEnumerable<string> Asked => _parts.Keys.Select(s => s.NodeId);

    public TapTotals Totals
    {
        get
        {
            var parts = _parts.Values;
            var sent = Interlocked.Read(ref _sent);
            // Reports of what was sent come before those of what was seen.
            return new TapTotals(
                parts.Count, Math.Max(sent, Interlocked.Read(ref _goneSeen) + parts.Sum(p => p.Seen)), sent,
                Interlocked.Read(ref _dropped) + Interlocked.Read(ref _goneDropped) + parts.Sum(p => p.Dropped));
        }
    }

    /// <summary>Asks those who can see something, as things are now: data planes come and go, and need more or less.</summary>
    public void Arrange()
    {
        var index = hub.Index;
        AttendHere = [.. hub.Attending(index)];
        string[] attending = [.. AttendHere.Concat(AttendElsewhere).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        var wanted = hub.Sessions.Select(s => (Session: s, Order: TapOrders.For(id, question, s, index, attending, 1))).Where(w => w.Order is not null).ToList();
        foreach (var (session, part) in _parts)
        {
            if (!wanted.Exists(w => w.Session == session) && _parts.TryRemove(session, out _))
            {
                Interlocked.Add(ref _goneSeen, part.Seen);
                Interlocked.Add(ref _goneDropped, part.Dropped);
                session.Tell(new TapOrder { Stop = id });
            }
        }

        var shares = Shares.Divide(MaxPerSecond, [.. wanted.Select(w => _parts.TryGetValue(w.Session, out var part) ? part.Demand(time) : null)]);
        for (var i = 0; i < wanted.Count; i++)
        {
            var (session, order) = wanted[i];
            order!.MaxPerSecond = Math.Round(shares[i], 2);
            var part = _parts.GetOrAdd(session, static _ => new Part());
            if (part.IsOther(order))
            {
                part.Order = order;
                session.Tell(new TapOrder { Start = order });
            }
        }
    }

    /// <summary>A data plane reports what it saw.</summary>
    public void Take(TapSession session, Exchange exchange)
    {
        if (!_parts.ContainsKey(session))
        {
            // It was not asked, or is no more.
            return;
        }

        if (!TryPass() || TapReportReader.Read(exchange, session, question, hub.Index, time.GetUtcNow()) is not { } seen)
        {
            Interlocked.Increment(ref _dropped);
        }
        else if ((to ?? _events.Writer).TryWrite(seen))
        {
            Interlocked.Increment(ref _sent);
        }
        else
        {
            Interlocked.Increment(ref _dropped);
        }
    }

    public void Take(TapSession session, TapStats stats)
    {
        if (_parts.TryGetValue(session, out var part))
        {
            part.Tell((long)Math.Min(stats.Seen, long.MaxValue / 1024), (long)Math.Min(stats.Dropped, long.MaxValue / 1024), time);
        }
    }

    /// <summary>Nobody looks any more.</summary>
    public void Dispose()
    {
        hub.End(this);
        foreach (var session in _parts.Keys)
        {
            session.Tell(new TapOrder { Stop = id });
        }

        _events.Writer.TryComplete();
    }

    /// <summary>Data planes keep to their shares; this is for those who don't.</summary>
    private bool TryPass()
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            // Twice the rate: shares are made anew only each second, and each may come at once.
            if (_due - now > 2 * time.TimestampFrequency)
            {
                return false;
            }

            _due = Math.Max(_due, now) + (long)(time.TimestampFrequency / Math.Max(Shares.Least, MaxPerSecond) / 1.5);
            return true;
        }
    }

    /// <summary>One data plane's.</summary>
    private sealed class Part
    {
        // Changes of less are not worth an order.
        private const double Near = 0.25;
        private readonly Lock _lock = new();
        private long _seen;
        private long _dropped;
        private double? _demand;
        private long _toldAt;

        public StartTap? Order { get; set; }

        public long Seen => Interlocked.Read(ref _seen);

        public long Dropped => Interlocked.Read(ref _dropped);

        public bool IsOther(StartTap next)
        {
            if (Order is not { } last)
            {
                return true;
            }

            var alike = last.Clone();
            alike.MaxPerSecond = next.MaxPerSecond;
            return !alike.Equals(next) || Math.Abs(next.MaxPerSecond - last.MaxPerSecond) > Near * last.MaxPerSecond;
        }

        /// <summary>Per second; null while it is not known.</summary>
        public double? Demand(TimeProvider time)
        {
            lock (_lock)
            {
                return _toldAt == 0 || time.GetElapsedTime(_toldAt) > TimeSpan.FromSeconds(5) ? null : _demand;
            }
        }

        public void Tell(long seen, long dropped, TimeProvider time)
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                if (_toldAt != 0 && now > _toldAt && seen >= _seen)
                {
                    _demand = (seen - _seen) / time.GetElapsedTime(_toldAt, now).TotalSeconds;
                }

                (_seen, _dropped, _toldAt) = (seen, dropped, now);
            }
        }
    }
}
