namespace Mesh.Testing.Kubernetes.Controllers;

/// <summary>Looks again at everything whenever one of its kinds was written. Runs until it is disposed of.</summary>
internal abstract class Controller(FakeKubeApi api) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private Task _run = Task.CompletedTask;

    protected FakeKubeApi Api => api;

    /// <summary>Tables, as <see cref="KubeResource.Table"/>.</summary>
    protected abstract IReadOnlyList<string> Watched { get; }

    public void Start() => _run = Task.Run(RunAsync);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopping.Dispose();
    }

    /// <summary>What is there to be done; a write of another in between is met by looking again.</summary>
    protected virtual void Reconcile()
    {
    }

    protected virtual Task ReconcileAsync(CancellationToken stopping)
    {
        Reconcile();
        return Task.CompletedTask;
    }

    private async Task RunAsync()
    {
        var seen = -1L;
        while (!_stopping.IsCancellationRequested)
        {
            // The signal first: a write while looking wakes it again.
            var now = api.Store.Version;
            var news = Watched.Select(table => api.Store.After(table, now)).ToList();
            if (news.Exists(n => n is null))
            {
                continue;
            }

            var changed = Task.WhenAny(news.Select(n => n!.Value.Changed));
            if (now != seen)
            {
                try
                {
                    await ReconcileAsync(_stopping.Token);
                }
                catch (Exception raced) when (raced is StatusException or InvalidOperationException)
                {
                    // Someone took away or changed what was looked at: look again.
                    await Task.Yield();
                    continue;
                }

                seen = now;
            }

            await changed.WaitAsync(_stopping.Token);
        }
    }
}
