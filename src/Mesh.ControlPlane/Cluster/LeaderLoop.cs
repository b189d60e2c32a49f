using Mesh.Concurrency;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Something that the leader keeps as it should be: looked at when woken and now and then, tried again when it failed, left alone when another leads.</summary>
internal abstract partial class LeaderLoop(LeaderLease lease, TimeProvider time, Random random, ILogger logger) : BackgroundService
{
    private readonly SemaphoreSlim _wake = new(0, 1);

    /// <summary>How often it is looked at when nothing happens.</summary>
    protected virtual TimeSpan Period => TimeSpan.FromMinutes(1);

    /// <summary>What it does, for the log.</summary>
    protected abstract string Purpose { get; }

    /// <summary>Something may have to be done. Never blocks.</summary>
    public void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Awake already, or stopped.
        }
    }

    public override void Dispose()
    {
        base.Dispose();
        _wake.Dispose();
    }

    /// <summary>A new term: what was known of the world may be old.</summary>
    protected virtual void Begin()
    {
    }

    /// <summary>Makes everything as it should be.</summary>
    /// <param name="cancellationToken">Ends when this replica leads no more.</param>
    protected abstract Task DoAsync(CancellationToken cancellationToken);

    /// <inheritdoc/>
    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var backoff = new Backoff(random, TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(30));
        string? said = null;
        while (!stoppingToken.IsCancellationRequested)
        {
            CancellationToken term;
            try
            {
                term = await lease.TermAsync(stoppingToken);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            using var acting = lease.Act();
            using var either = CancellationTokenSource.CreateLinkedTokenSource(term, stoppingToken);
            Begin();
            while (!either.IsCancellationRequested)
            {
                TimeSpan? wait = null;
                try
                {
                    await DoAsync(either.Token);
                    backoff.Reset();
                    said = null;
                }
                catch (OperationCanceledException) when (either.IsCancellationRequested)
                {
                    break;
                }
                catch (Exception e)
                {
                    // Nothing may end this loop: what is not done now is done later.
                    var next = backoff.Next();
                    wait = e is KubeApiException { RetryAfter: { } asked } && asked > next ? asked : next;
                    if (said != e.Message)
                    {
                        said = e.Message;
                        Log.Failed(logger, Purpose, e is KubeApiException ? null : e, e.Message);
                    }
                }

                if (wait is { } pause)
                {
                    await Task.Delay(pause, time, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    continue;
                }

                using var elapsed = new CancellationTokenSource(Period, time);
                using var any = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, either.Token);
                await ((Task)_wake.WaitAsync(any.Token)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(5220, LogLevel.Warning, "{Purpose} failed and is tried again. {Problem}", EventName = nameof(Failed))]
        public static partial void Failed(ILogger logger, string purpose, Exception? exception, string problem);
    }
}
