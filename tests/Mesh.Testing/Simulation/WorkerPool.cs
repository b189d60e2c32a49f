namespace Mesh.Testing.Simulation;

/// <summary>What a server can do at once, and the queue before it: first come, first served.</summary>
/// <param name="size">Jobs at a time.</param>
internal sealed class WorkerPool(SimulatedWorld world, int size)
{
    private readonly LinkedList<Job> _queue = new();
    private int _busy;

    public int Size => size;

    public int Busy => _busy;

    public int Queued => _queue.Count;

    public int MostQueued { get; private set; }

    public long Begun { get; private set; }

    public TimeSpan Worked { get; private set; }

    /// <summary>Of it, done after the moment from which nobody wanted it.</summary>
    public TimeSpan WorkedInVain { get; private set; }

    /// <summary>How long after that moment a job was begun, at most; zero when none was.</summary>
    public TimeSpan LatestBegin { get; private set; }

    /// <param name="wantedUntil">Timestamp after which the result is of no use to anybody; only for the count.</param>
    /// <param name="cancellationToken">Ends waiting and work at once.</param>
    public Task WorkAsync(TimeSpan duration, long wantedUntil, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
        {
            return Task.FromCanceled(cancellationToken);
        }

        var job = new Job(this, duration, wantedUntil);
        if (_busy < size)
        {
            job.Begin();
        }
        else
        {
            job.Queued = _queue.AddLast(job);
            MostQueued = Math.Max(MostQueued, _queue.Count);
        }

        job.Registration = cancellationToken.UnsafeRegister(static (job, token) => ((Job)job!).Cancel(token), job);
        return job.Done;
    }

    private void Next()
    {
        _busy--;
        if (_queue.First is { } node)
        {
            _queue.Remove(node);
            node.Value.Queued = null;
            node.Value.Begin();
        }
    }

    private sealed class Job(WorkerPool pool, TimeSpan duration, long wantedUntil)
    {
        private readonly TaskCompletionSource _done = new();
        private long _begun;
        private bool _over;

        public Task Done => _done.Task;

        public LinkedListNode<Job>? Queued { get; set; }

        public CancellationTokenRegistration Registration { get; set; }

        public void Begin()
        {
            var time = pool.World.Time;
            pool._busy++;
            pool.Begun++;
            _begun = time.GetTimestamp();
            pool.LatestBegin = TimeSpan.FromTicks(Math.Max(pool.LatestBegin.Ticks, _begun - wantedUntil));
            time.After(duration, () =>
            {
                if (!_over)
                {
                    End();
                    Registration.Unregister();
                    _done.TrySetResult();
                }
            });
        }

        public void Cancel(CancellationToken token)
        {
            if (_over)
            {
                return;
            }

            if (Queued is { } node)
            {
                _over = true;
                pool._queue.Remove(node);
            }
            else
            {
                End();
            }

            _done.TrySetCanceled(token);
        }

        private void End()
        {
            _over = true;
            var now = pool.World.Time.GetTimestamp();
            pool.Worked += TimeSpan.FromTicks(now - _begun);
            pool.WorkedInVain += TimeSpan.FromTicks(Math.Max(0, now - Math.Max(_begun, wantedUntil)));
            pool.Next();
        }
    }

    private SimulatedWorld World => world;
}
