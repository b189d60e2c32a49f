using Mesh.Balancing;
using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Outbound;

/// <summary>Probes the endpoints of one cluster as long as it has a health check. Thread-safe.</summary>
/// <remarks>One loop, a bounded number of probes at once. Probes ride the endpoints' own connections and are no calls: no metric of calls sees them.</remarks>
/// <param name="probe">Asks one endpoint; never throws but for cancellation.</param>
/// <param name="ejected">Told when an endpoint goes out of use.</param>
internal sealed partial class HealthLoop(
    string cluster, Func<OutboundEndpoint, HealthCheck, CancellationToken, Task<ProbeResult>> probe, TimeProvider time, Random random, Action ejected, ILogger logger) : IAsyncDisposable
{
    /// <summary>Probes that run at once.</summary>
    public const int MaxParallel = 16;

    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);
    private readonly Lock _lock = new();
    private Settings? _settings;
    private TaskCompletionSource _changed = NewSignal();
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;
    private bool _disposed;

    /// <summary>Takes over settings and endpoints: starts, goes on or stops.</summary>
    public void Update(HealthCheck? check, IReadOnlyList<BalancedEndpoint> endpoints)
    {
        lock (_lock)
        {
            if (_disposed || (check is null && _stop is null))
            {
                return;
            }

            _settings = new Settings(check, endpoints);
            if (_stop is null)
            {
                _stop = new CancellationTokenSource();
                var token = _stop.Token;
                using (ExecutionContext.SuppressFlow())
                {
                    // Never two at once: one that is about to end lets go of its endpoints first.
                    var before = _running;
                    _running = Task.Run(() => RunAsync(before, token), CancellationToken.None);
                }
            }
            else if (check is null)
            {
                StopLocked();
            }
        }

        // Continuations run elsewhere: the signal was made so.
        Interlocked.Exchange(ref _changed, NewSignal()).TrySetResult();
    }

    /// <summary>Ends at once; who waits for the end awaits <see cref="DisposeAsync"/>.</summary>
    public void Stop()
    {
        lock (_lock)
        {
            _disposed = true;
            StopLocked();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Stop();
        await _running.ConfigureAwait(false);
    }

    private void StopLocked()
    {
        // Nothing is registered with the token that could call out: the loop waits on tasks, whose continuations run elsewhere.
        _ = _stop?.CancelAsync();
        _stop = null;
    }

    private async Task RunAsync(Task before, CancellationToken cancellationToken)
    {
        await before.ConfigureAwait(false);
        var checker = new HealthChecker(time, random);
        var running = new Dictionary<Task<ProbeResult>, OutboundEndpoint>();
        try
        {
            await CheckAsync(checker, running, cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // Asked for.
        }
        catch (Exception e)
        {
            Log.LoopDied(logger, e, cluster);
        }

        checker.Update(null, [], time.GetTimestamp());
        // Their token is cancelled: they end soon, and how says nothing any more.
        await ((Task)Task.WhenAll(running.Keys)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task CheckAsync(HealthChecker checker, Dictionary<Task<ProbeResult>, OutboundEndpoint> running, CancellationToken cancellationToken)
    {
        Settings? seen = null;
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Before the settings are read, so that no change between the two is missed.
            var changed = Volatile.Read(ref _changed).Task;
            var settings = Volatile.Read(ref _settings);
            if (!ReferenceEquals(settings, seen))
            {
                checker.Update(settings!.Check, settings.Endpoints, time.GetTimestamp());
                seen = settings;
            }

            var now = time.GetTimestamp();
            while (running.Count < MaxParallel && checker.TakeDue(now) is OutboundEndpoint endpoint)
            {
                running[probe(endpoint, seen!.Check!, cancellationToken)] = endpoint;
            }

            using var timer = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var wait = running.Count < MaxParallel && checker.UntilDue(now) is { } left ? (left < LongestWait ? left : LongestWait) : LongestWait;
            await Task.WhenAny([changed, Task.Delay(wait, time, timer.Token), .. running.Keys]).ConfigureAwait(false);
            await timer.CancelAsync().ConfigureAwait(false);
            foreach (var done in running.Keys.Where(t => t.IsCompleted).ToArray())
            {
                running.Remove(done, out var endpoint);
                Record(checker, endpoint!, await done.ConfigureAwait(false));
            }
        }
    }

    private void Record(HealthChecker checker, OutboundEndpoint endpoint, ProbeResult result)
    {
        switch (checker.Record(endpoint, result))
        {
            case true:
                Log.ProbeFailed(logger, endpoint.Config.HostPort, cluster, result.Detail);
                ejected();
                break;
            case false:
                Log.ProbeGood(logger, endpoint.Config.HostPort, cluster, result.Detail);
                break;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private sealed record Settings(HealthCheck? Check, IReadOnlyList<BalancedEndpoint> Endpoints);
}
