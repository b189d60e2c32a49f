using Mesh.Config;

namespace Mesh.Resilience;

/// <summary>Lets so many requests in at once and so many wait, first come first served. Thread-safe; without waiters it takes no lock and allocates nothing.</summary>
/// <remarks>
/// Not System.Threading.RateLimiting's ConcurrencyLimiter: its limits cannot change while requests are inside, so that a new configuration would start from zero
/// and let twice as many in; it allocates a lease per request and takes a lock for each; and it has no longest wait. The bench <c>limits</c> compares them.
/// </remarks>
internal sealed class ConcurrencyGate(ServerConcurrency settings, TimeProvider time)
{
    private const long OneWaiting = 1L << 32;

    private readonly Lock _lock = new();

    // Guarded by the lock; as long as the upper half of the state says.
    private readonly LinkedList<Waiter> _waiters = [];

    // Lower half: requests inside. Upper half: requests that wait; changes under the lock only.
    private long _state;
    private volatile ServerConcurrency _settings = settings;

    public int Inside => (int)(Volatile.Read(ref _state) & uint.MaxValue);

    public int Waiting => (int)(Volatile.Read(ref _state) >> 32);

    /// <summary>May change while requests are inside: they count on, and those that wait keep their places.</summary>
    public ServerConcurrency Settings
    {
        get => _settings;
        set
        {
            _settings = value;
            while (LetInMore() is { } waiter)
            {
                waiter.TrySetResult(Admission.Entered);
            }
        }
    }

    /// <summary>True: the request is inside until <see cref="Exit"/>. False also when there is room, but others wait for it.</summary>
    public bool TryEnter()
    {
        var most = _settings.MaxRequests;
        while (true)
        {
            var state = Volatile.Read(ref _state);
            // At or above the first waiter no lower half can reach: one comparison for both.
            if (state >= most)
            {
                return false;
            }

            if (Interlocked.CompareExchange(ref _state, state + 1, state) == state)
            {
                return true;
            }
        }
    }

    /// <summary>Waits for a place. Anything but <see cref="Admission.Entered"/> means that the request is not inside.</summary>
    /// <param name="caller">Cancelled when nobody waits for the answer any more.</param>
    public async ValueTask<Admission> EnterAsync(CancellationToken caller)
    {
        if (caller.IsCancellationRequested)
        {
            return Admission.CallerLeft;
        }

        var waiter = new Waiter(this);
        if (TryJoin(waiter) is { } now)
        {
            return now;
        }

        using var patience = time.CreateTimer(static w => ((Waiter)w!).Leave(Admission.TimedOut), waiter, _settings.QueueTimeout, Timeout.InfiniteTimeSpan);
        using var left = caller.UnsafeRegister(static w => ((Waiter)w!).Leave(Admission.CallerLeft), waiter);
        return await waiter.Task.ConfigureAwait(false);
    }

    /// <summary>The request is done; the first that waits comes in.</summary>
    public void Exit()
    {
        while (true)
        {
            var state = Volatile.Read(ref _state);
            if (state >= OneWaiting)
            {
                HandOver()?.TrySetResult(Admission.Entered);
                return;
            }

            if (Interlocked.CompareExchange(ref _state, state - 1, state) == state)
            {
                return;
            }
        }
    }

    /// <summary>Null when the waiter has its place in the queue.</summary>
    private Admission? TryJoin(Waiter waiter)
    {
        lock (_lock)
        {
            // Read under the lock: new settings let in whoever waits, and must not miss this one.
            var limits = _settings;
            while (true)
            {
                var state = Volatile.Read(ref _state);
                if (state < limits.MaxRequests)
                {
                    // Someone left meanwhile.
                    if (Interlocked.CompareExchange(ref _state, state + 1, state) == state)
                    {
                        return Admission.Entered;
                    }
                }
                else if ((state >> 32) >= limits.MaxQueue)
                {
                    return Admission.QueueFull;
                }
                else if (Interlocked.CompareExchange(ref _state, state + OneWaiting, state) == state)
                {
                    _waiters.AddLast(waiter.Place);
                    return null;
                }
            }
        }
    }

    /// <summary>Gives the place of a request that leaves to the first that waits; nobody gets it while more are inside than may be.</summary>
    private Waiter? HandOver()
    {
        lock (_lock)
        {
            var first = _waiters.First;
            if (first is null || Inside > _settings.MaxRequests)
            {
                Interlocked.Decrement(ref _state);
                return null;
            }

            _waiters.Remove(first);
            Interlocked.Add(ref _state, -OneWaiting);
            return first.Value;
        }
    }

    private Waiter? LetInMore()
    {
        lock (_lock)
        {
            if (_waiters.First is not { } first || Inside >= _settings.MaxRequests)
            {
                return null;
            }

            _waiters.Remove(first);
            Interlocked.Add(ref _state, 1 - OneWaiting);
            return first.Value;
        }
    }

    private sealed class Waiter : TaskCompletionSource<Admission>
    {
        private readonly ConcurrencyGate _gate;

        public Waiter(ConcurrencyGate gate)
            : base(TaskCreationOptions.RunContinuationsAsynchronously)
        {
            _gate = gate;
            Place = new LinkedListNode<Waiter>(this);
        }

        public LinkedListNode<Waiter> Place { get; }

        /// <summary>Nothing happens when it was let in a moment before.</summary>
        public void Leave(Admission why)
        {
            lock (_gate._lock)
            {
                if (Place.List is null)
                {
                    return;
                }

                _gate._waiters.Remove(Place);
                Interlocked.Add(ref _gate._state, -OneWaiting);
            }

            TrySetResult(why);
        }
    }
}

/// <summary>What became of a request that wanted in.</summary>
internal enum Admission
{
    Entered,

    /// <summary>As many wait as may.</summary>
    QueueFull,

    /// <summary>It waited as long as may be.</summary>
    TimedOut,

    /// <summary>Its caller is gone, or its deadline is over.</summary>
    CallerLeft,
}
