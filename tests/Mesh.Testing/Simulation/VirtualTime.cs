namespace Mesh.Testing.Simulation;

/// <summary>Time that passes only from one event to the next: as fast as the work between them is done, and the same in every run.</summary>
/// <remarks>
/// One thread: the one that made it. Timers fire on it, in the order of their due times and, at the same time, in the order in which they were set.
/// Whoever asks from a thread whose turn it is not is counted in <see cref="ForeignUses"/>: then something left the simulation, and it is not reproducible any more.
/// </remarks>
internal sealed class VirtualTime(Handover handover) : TimeProvider
{
    // An arbitrary day. Not zero: a timestamp of zero means "never" to some.
    private static readonly DateTimeOffset _start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly PriorityQueue<Entry, (long Due, long Number)> _queue = new();
    private long _now = TimeSpan.TicksPerHour;
    private long _number;
    private int _foreign;

    /// <summary>Ticks of 100 ns.</summary>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Timers that are set and have not fired; a periodic one counts until it is disposed.</summary>
    public int Timers { get; private set; }

    /// <summary>Events so far.</summary>
    public long Fired { get; private set; }

    /// <summary>Uses by other threads; 0 in a sound simulation.</summary>
    public int ForeignUses => Volatile.Read(ref _foreign);

    /// <summary>Where the first of them came from; null without any.</summary>
    public string? FirstForeignUse { get; private set; }

    /// <summary>Since the simulation began.</summary>
    public TimeSpan Elapsed => TimeSpan.FromTicks(_now - TimeSpan.TicksPerHour);

    public override long GetTimestamp()
    {
        CheckThread();
        return _now;
    }

    public override DateTimeOffset GetUtcNow() => _start.AddTicks(GetTimestamp());

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        CheckThread();
        var timer = new VirtualTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Does something later. Not counted among <see cref="Timers"/>: it belongs to the simulated world, not to the program in it.</summary>
    public void After(TimeSpan delay, Action action) =>
        _queue.Enqueue(new Entry(null, 0, action), (_now + Math.Max(0, delay.Ticks), _number++));

    /// <summary>Fires all that is due up to a moment, which then is now.</summary>
    public void RunUntil(TimeSpan elapsed)
    {
        var until = TimeSpan.TicksPerHour + elapsed.Ticks;
        while (_queue.TryPeek(out _, out var at) && at.Due <= until)
        {
            Step();
            handover.LetIn();
        }

        _now = Math.Max(_now, until);
    }

    /// <summary>Fires all that is due until the condition holds.</summary>
    /// <exception cref="TimeoutException">It did not within the time.</exception>
    public void RunUntil(Func<bool> condition, TimeSpan atMost, string what)
    {
        var until = _now + atMost.Ticks;
        while (!condition())
        {
            if (!_queue.TryPeek(out _, out var at) || at.Due > until)
            {
                throw new TimeoutException($"After {atMost.TotalSeconds:0.###} s of virtual time still not: {what} (now {Elapsed.TotalSeconds:0.###} s, {Timers} timers).");
            }

            Step();
            handover.LetIn();
        }
    }

    private void Step()
    {
        _queue.TryDequeue(out var entry, out var at);
        if (entry.Timer is { } timer)
        {
            if (timer.IsSet(entry.Version))
            {
                _now = at.Due;
                Fired++;
                timer.Fire();
            }
        }
        else
        {
            _now = at.Due;
            Fired++;
            entry.Action!();
        }
    }

    private void CheckThread()
    {
        if (!handover.IsMine)
        {
            Interlocked.Increment(ref _foreign);
            FirstForeignUse ??= Environment.StackTrace;
        }
    }

    /// <param name="Version">A timer that was changed since leaves its old entry behind.</param>
    private readonly record struct Entry(VirtualTimer? Timer, int Version, Action? Action);

    private sealed class VirtualTimer(VirtualTime time, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;
        private int _version;
        private bool _set;
        private bool _disposed;

        public bool IsSet(int version) => _set && version == _version;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            time.CheckThread();
            if (_disposed)
            {
                return false;
            }

            Clear();
            _period = period;
            if (dueTime >= TimeSpan.Zero)
            {
                Set(dueTime);
            }

            return true;
        }

        public void Fire()
        {
            Clear();
            if (_period > TimeSpan.Zero)
            {
                Set(_period);
            }

            callback(state);
        }

        public void Dispose()
        {
            time.CheckThread();
            _disposed = true;
            Clear();
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }

        private void Set(TimeSpan after)
        {
            _set = true;
            time.Timers++;
            time._queue.Enqueue(new Entry(this, _version, null), (time._now + after.Ticks, time._number++));
        }

        private void Clear()
        {
            _version++;
            if (_set)
            {
                _set = false;
                time.Timers--;
            }
        }
    }
}
