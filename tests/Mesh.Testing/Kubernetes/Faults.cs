namespace Mesh.Testing.Kubernetes;

/// <summary>Ways for the server to misbehave, to be turned while it runs.</summary>
internal sealed class Faults
{
    private readonly Lock _lock = new();
    private readonly List<Refusal> _refusals = [];
    private CancellationTokenSource _cut = new();
    private TaskCompletionSource _resumed = Done();

    /// <summary>Before each answer (not between a watch's events).</summary>
    public TimeSpan Delay { get; set; }

    /// <summary>Lists that allow it (resourceVersion=0, or one not older than) are answered from what was there at this version.</summary>
    public long? StaleListsAt { get; set; }

    /// <summary>Each watch ends, without a word, after this many events.</summary>
    public int? CutWatchesAfter { get; set; }

    /// <summary>Cancelled when watches are cut.</summary>
    public CancellationToken Cut
    {
        get
        {
            lock (_lock)
            {
                return _cut.Token;
            }
        }
    }

    /// <summary>Completed unless watches stall.</summary>
    public Task Resumed
    {
        get
        {
            lock (_lock)
            {
                return _resumed.Task;
            }
        }
    }

    /// <summary>The next requests to a path fail.</summary>
    /// <param name="path">How the path begins; empty: every path.</param>
    /// <param name="status">429, 500, 503, …; 0 breaks the connection.</param>
    /// <param name="count">How many times.</param>
    /// <param name="retryAfter">Seconds, in the header.</param>
    /// <param name="verb">get, list, watch, …; null: every verb.</param>
    public void Fail(string path, int status, int count = 1, int? retryAfter = null, string? verb = null)
    {
        lock (_lock)
        {
            _refusals.Add(new Refusal(path, status, retryAfter, verb) { Left = count });
        }
    }

    /// <summary>No more failures, delays, stalls or stale lists.</summary>
    public void Clear()
    {
        lock (_lock)
        {
            _refusals.Clear();
        }

        (Delay, StaleListsAt, CutWatchesAfter) = (TimeSpan.Zero, null, null);
        ResumeWatches();
    }

    /// <summary>Ends every watch that runs now, as a load balancer or a restart does.</summary>
    public void CutWatches()
    {
        CancellationTokenSource cut;
        lock (_lock)
        {
            (cut, _cut) = (_cut, new CancellationTokenSource());
        }

        cut.Cancel();
    }

    /// <summary>Watches stay open and say nothing more, not even bookmarks.</summary>
    public void StallWatches()
    {
        lock (_lock)
        {
            if (_resumed.Task.IsCompleted)
            {
                _resumed = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    public void ResumeWatches()
    {
        lock (_lock)
        {
            _resumed.TrySetResult();
        }
    }

    /// <summary>The failure that this request is to meet.</summary>
    internal (int Status, int? RetryAfter)? Next(string path, string verb)
    {
        lock (_lock)
        {
            var refusal = _refusals.FirstOrDefault(r => path.StartsWith(r.Path, StringComparison.Ordinal) && (r.Verb is null || r.Verb == verb));
            if (refusal is null)
            {
                return null;
            }

            if (--refusal.Left == 0)
            {
                _refusals.Remove(refusal);
            }

            return (refusal.Status, refusal.RetryAfter);
        }
    }

    private static TaskCompletionSource Done()
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        done.SetResult();
        return done;
    }

    private sealed record Refusal(string Path, int Status, int? RetryAfter, string? Verb)
    {
        public int Left { get; set; }
    }
}
