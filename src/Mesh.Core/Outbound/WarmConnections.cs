using Mesh.Balancing;
using Mesh.Concurrency;
using Mesh.Config;

namespace Mesh.Outbound;

/// <summary>Keeps connections ready at the endpoints of one cluster before calls need them, as long as the cluster wants so. Thread-safe.</summary>
/// <remarks>One loop. A connection is no call: no metric of calls sees it. Endpoints that need an identity of ours wait for it.</remarks>
internal sealed class WarmConnections(TimeProvider time, Random random) : IAsyncDisposable
{
    /// <summary>How often the loop looks whether one was taken or closed.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private Settings _settings = new(0, []);
    private CancellationTokenSource? _stop;
    private Task _running = Task.CompletedTask;
    private bool _disposed;

    /// <summary>Takes over settings and endpoints: starts, goes on or stops.</summary>
    public void Update(Cluster config, IReadOnlyList<BalancedEndpoint> endpoints)
    {
        lock (_lock)
        {
            Volatile.Write(ref _settings, new Settings(config.Connections.Warm, endpoints));
            if (config.Connections.Warm == 0)
            {
                StopLocked();
            }
            else if (!_disposed && _stop is null)
            {
                _stop = new CancellationTokenSource();
                var (before, token) = (_running, _stop.Token);
                using (ExecutionContext.SuppressFlow())
                {
                    _running = Task.Run(() => RunAsync(before, token), CancellationToken.None);
                }
            }
        }
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
        var pauses = new Dictionary<OutboundEndpoint, (Backoff Backoff, long Until)>();
        while (!cancellationToken.IsCancellationRequested)
        {
            var settings = Volatile.Read(ref _settings);
            foreach (var gone in pauses.Keys.Where(e => !settings.Endpoints.Contains(e)).ToArray())
            {
                pauses.Remove(gone);
            }

            await Task.WhenAll(settings.Endpoints.OfType<OutboundEndpoint>().Select(endpoint => WarmAsync(endpoint, settings.Count, pauses, cancellationToken))).ConfigureAwait(false);
            await Task.Delay(LookEvery, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>One endpoint: as many as are missing. Never throws.</summary>
    private async Task WarmAsync(OutboundEndpoint endpoint, int count, Dictionary<OutboundEndpoint, (Backoff Backoff, long Until)> pauses, CancellationToken cancellationToken)
    {
        (Backoff Backoff, long Until) pause;
        lock (pauses)
        {
            if (pauses.TryGetValue(endpoint, out pause) && time.GetTimestamp() < pause.Until)
            {
                return;
            }
        }

        if (endpoint.TryAcquire(http1Only: false) is not { } handler)
        {
            return;
        }

        try
        {
            await handler.Connections.WarmAsync(count, cancellationToken).ConfigureAwait(false);
            lock (pauses)
            {
                pauses.Remove(endpoint);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // A call that fails to connect says so; here it only means: later.
            var backoff = pause.Backoff ?? new Backoff(random);
            lock (pauses)
            {
                pauses[endpoint] = (backoff, time.GetTimestamp() + (long)(backoff.Next().TotalSeconds * time.TimestampFrequency));
            }
        }
        finally
        {
            handler.Release();
        }
    }

    private sealed record Settings(int Count, IReadOnlyList<BalancedEndpoint> Endpoints);
}
