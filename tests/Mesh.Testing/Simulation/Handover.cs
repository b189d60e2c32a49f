namespace Mesh.Testing.Simulation;

/// <summary>Keeps a run in order where .NET itself leaves the thread: a cancelled <c>Task.Delay</c> (a back-off whose caller gives up) goes on in the thread pool.</summary>
/// <remarks>
/// The pool's thread shows up by an async-local value that comes with it. It waits there until the simulation's thread has come to the end of its event and lets it in;
/// that thread in turn waits until it has left. So one thread runs at a time, in an order that does not depend on how fast they are.
/// </remarks>
#pragma warning disable CA1001 // semaphores without a wait handle hold nothing
internal sealed class Handover
#pragma warning restore CA1001
{
    // Real time: only a defect of the simulation takes that long.
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(20);
    private static readonly AsyncLocal<Handover?> _current = new(Changed);
    private readonly SemaphoreSlim _mayEnter = new(0);
    private readonly SemaphoreSlim _left = new(0);
    private readonly int _home = Environment.CurrentManagedThreadId;
    private volatile int _owner = Environment.CurrentManagedThreadId;
    private int _expected;
    private int _strangers;

    /// <summary>From here on all that this thread starts belongs to the run.</summary>
    public static Handover Begin() => _current.Value = new Handover();

    /// <summary>The caller is the one thread that runs now.</summary>
    public bool IsMine => Environment.CurrentManagedThreadId == _owner;

    /// <summary>Threads that came unexpected: the order is not sure any more.</summary>
    public int Strangers => Volatile.Read(ref _strangers);

    /// <summary>Where the first of them was going; null without any.</summary>
    public string? FirstStranger { get; private set; }

    /// <summary>A continuation is on its way to the thread pool.</summary>
    public void Expect() => _expected++;

    /// <summary>Between two events: lets in who is expected, and waits until it has left.</summary>
    public void LetIn()
    {
        while (_expected > 0)
        {
            _expected--;
            _mayEnter.Release();
            if (!_left.Wait(_patience))
            {
                throw new TimeoutException("A continuation that was expected from the thread pool did not come: the simulation misjudged a cancelled delay.");
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
}
