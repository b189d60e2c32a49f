using System.Diagnostics.Tracing;

namespace Mesh.Testing.Simulation;

/// <summary>
/// Keeps a run in order where code leaves its thread for the thread pool: after a cancelled <c>Task.Delay</c> (a back-off whose caller gives up), out of a server's queue,
/// by <c>CancelAsync</c> (the loser of a hedge).
/// </summary>
/// <remarks>
/// The runtime's own events tell of everything that the running thread hands to the pool. The pool's thread shows up by an async-local value that comes with it. It waits
/// there until the simulation's thread has come to the end of its event and lets it in; that thread in turn waits until it has left. So one thread runs at a time, in an
/// order that does not depend on how fast they are.
/// </remarks>
#pragma warning disable CA1001 // semaphores without a wait handle hold nothing
internal sealed class Handover
#pragma warning restore CA1001
{
    // Real time: only a defect of the simulation takes that long.
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);
    private static readonly AsyncLocal<Handover?> _current = new(Changed);
    private static readonly PoolEvents _pool = PoolEvents.Listen();
    private readonly SemaphoreSlim _mayEnter = new(0);
    private readonly SemaphoreSlim _left = new(0);
    private readonly int _home = Environment.CurrentManagedThreadId;
    private volatile int _owner = Environment.CurrentManagedThreadId;
    private int _expected;
    private int _strangers;

    /// <summary>From here on all that this thread starts belongs to the run.</summary>
    public static Handover Begin()
    {
        GC.KeepAlive(_pool);
        return _current.Value = new Handover();
    }

    /// <summary>The caller is the one thread that runs now.</summary>
    public bool IsMine => Environment.CurrentManagedThreadId == _owner;

    /// <summary>Threads that came unexpected: the order is not sure any more.</summary>
    public int Strangers => Volatile.Read(ref _strangers);

    /// <summary>Where the first of them was going; null without any.</summary>
    public string? FirstStranger { get; private set; }

    /// <summary>Between two events: lets in who is expected, and waits until it has left.</summary>
    public void LetIn()
    {
        while (_expected > 0)
        {
            _expected--;
            _mayEnter.Release();
            if (!_left.Wait(_patience))
            {
                throw new TimeoutException("A continuation that was expected from the thread pool did not come: the simulation misjudged what was handed to it.");
            }
        }
    }

    private static void Changed(AsyncLocalValueChangedArgs<Handover?> change)
    {
        if (change.ThreadContextChanged)
        {
            change.PreviousValue?.Leave();
            change.CurrentValue?.Enter();
        }
    }

    private void Enter()
    {
        var id = Environment.CurrentManagedThreadId;
        if (id == _home)
        {
            return;
        }

        if (_mayEnter.Wait(_patience))
        {
            _owner = id;
        }
        else
        {
            Interlocked.Increment(ref _strangers);
            FirstStranger ??= Environment.StackTrace;
        }
    }

    private void Leave()
    {
        if (Environment.CurrentManagedThreadId != _home && IsMine)
        {
            _owner = _home;
            _left.Release();
        }
    }

    /// <summary>What is handed to the thread pool, told on the thread that does it.</summary>
    private sealed class PoolEvents : EventListener
    {
        private const EventKeywords ThreadPoolAndTransfer = (EventKeywords)(0x2 | 0x10);

        public static PoolEvents Listen()
        {
            var events = new PoolEvents();
            // The pool looks whether somebody listens when it begins with its next piece of work.
            using var worked = new ManualResetEventSlim();
            ThreadPool.UnsafeQueueUserWorkItem(static e => e.Set(), worked, preferLocal: false);
            worked.Wait(_patience);
            return events;
        }

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name == "System.Diagnostics.Eventing.FrameworkEventSource")
            {
                EnableEvents(eventSource, EventLevel.Verbose, ThreadPoolAndTransfer);
            }
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData)
        {
            if (eventData.EventName is "ThreadPoolEnqueueWork" or "ThreadTransferSend" && _current.Value is { IsMine: true } handover)
            {
                handover._expected++;
            }
        }
    }
}
