using Mesh.Concurrency;
using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

/// <summary>Keeps the workload's certificate current: renews at half its life, keeps the old one while that fails.</summary>
/// <remarks>All state but the published identity is owned by the one loop. Waits are at most a minute, so that a clock that jumped is noticed.</remarks>
internal sealed partial class SvidRotator(ISvidSource source, TimeProvider time, Random random, ILogger<SvidRotator> logger) : IWorkloadIdentitySource, IAsyncDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private readonly TaskCompletionSource<WorkloadIdentity> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Backoff _backoff = new(random, max: TimeSpan.FromSeconds(30));
    private volatile WorkloadIdentity? _current;
    private volatile string? _problem;
    private volatile LeafPolicy? _policy;
    private IDisposable? _subscription;
    private Task? _running;
    private int _disposed;

    private DateTimeOffset _obtainedAt;
    private DateTimeOffset _renewAt;
    private DateTimeOffset? _policySeen;
    private Stage _told;

    private enum Stage
    {
        Fresh,
        Aging,
        Over,
    }

    /// <inheritdoc/>
    public WorkloadIdentity? Current => _current;

    /// <inheritdoc/>
    public string? Problem => _problem;

    /// <inheritdoc/>
    public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) =>
        _current is { } current ? new(current) : new(_first.Task.WaitAsync(cancellationToken));

    /// <summary>Starts the loop; never waits.</summary>
    /// <param name="snapshots">Where the control plane's <see cref="LeafPolicy"/> appears.</param>
    public void Start(SnapshotStore snapshots)
    {
        _subscription = snapshots.Subscribe(snapshot =>
        {
            if (snapshot.LeafPolicy is { } policy && policy != _policy)
            {
                _policy = policy;
                Wake();
            }
        });
        using (ExecutionContext.SuppressFlow())
        {
            _running = Task.Run(() => RunAsync(_stop.Token));
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        _subscription?.Dispose();
        await _stop.CancelAsync().ConfigureAwait(false);
        if (_running is not null)
        {
            await _running.ConfigureAwait(false);
        }

        _first.TrySetCanceled();
        _stop.Dispose();
    }

    private void Wake()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // Already awake.
        }
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                FollowPolicy(time.GetUtcNow());
                if (time.GetUtcNow() >= _renewAt)
                {
                    await RenewAsync(cancellationToken).ConfigureAwait(false);
                }

                TellAge(time.GetUtcNow());
                await WaitAsync(_renewAt - time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
            }
        }
        catch (Exception) when (cancellationToken.IsCancellationRequested)
        {
            // Stopped; a try that failed at that moment is nobody's news.
        }
        catch (Exception e)
        {
            _problem = $"Certificate renewal died: {e.Message}";
            _first.TrySetException(e);
            Log.RotationDied(logger, e);
        }
    }

    private async Task RenewAsync(CancellationToken cancellationToken)
    {
        try
        {
            var issued = await source.FetchAsync(_current, cancellationToken).ConfigureAwait(false);
            var next = new WorkloadIdentity(issued.Svid, issued.Bundle, (_current?.Generation ?? 0) + 1);
            _obtainedAt = time.GetUtcNow();
            // The life that is left, not the life from NotBefore: authorities date certificates back against clock skew.
            var left = Max(issued.Svid.NotAfter - _obtainedAt, TimeSpan.FromSeconds(2));
            _renewAt = _obtainedAt + (left * (0.4 + (0.2 * random.NextDouble())));
            _told = Stage.Fresh;
            _problem = null;
            _backoff.Reset();
            _current = next;
            _first.TrySetResult(next);
            Log.CertificateIssued(logger, issued.Svid.Id, next.Generation, issued.Svid.NotAfter, _renewAt);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            _renewAt = time.GetUtcNow() + _backoff.Next();
            // The same reason again is not news.
            var known = _problem == e.Message;
            _problem = e.Message;
            if (known)
            {
                Log.CertificateStillNotIssued(logger, e.Message, _renewAt);
            }
            else if (e is SvidException { NeedsPerson: false })
            {
                Log.CertificateNotIssued(logger, e.Message, _renewAt);
            }
            else
            {
                Log.CertificateRefused(logger, e.Message, _renewAt, e is SvidException ? null : e);
            }
        }
    }

    /// <summary>A leaf older than the control plane asks is renewed within a second. Each value acts once, and a newer value always: clock skew neither loops nor hides it.</summary>
    private void FollowPolicy(DateTimeOffset now)
    {
        if (_policy?.IssuedAfter is not { } issuedAfter || _current is null || issuedAfter == _policySeen)
        {
            return;
        }

        var first = _policySeen is null;
        var newer = _policySeen < issuedAfter;
        _policySeen = first || newer ? issuedAfter : _policySeen;
        if (newer || (first && _obtainedAt < issuedAfter))
        {
            _renewAt = Min(_renewAt, now + TimeSpan.FromSeconds(random.NextDouble()));
            Log.RenewalAsked(logger, issuedAfter);
        }
    }

    private void TellAge(DateTimeOffset now)
    {
        if (_current?.Svid is not { } svid)
        {
            return;
        }

        if (now >= svid.NotAfter)
        {
            if (_told != Stage.Over)
            {
                _told = Stage.Over;
                Log.CertificateOver(logger, svid.Id, svid.NotAfter, _problem);
            }
        }
        else if (_told == Stage.Fresh && now >= _obtainedAt + ((svid.NotAfter - _obtainedAt) * 0.75))
        {
            _told = Stage.Aging;
            Log.CertificateAging(logger, svid.Id, svid.NotAfter, _problem);
        }
    }

    private async Task WaitAsync(TimeSpan due, CancellationToken cancellationToken)
    {
        using var elapsed = new CancellationTokenSource(Min(Max(due, TimeSpan.FromMilliseconds(1)), LongestWait), time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, cancellationToken);
        try
        {
            await _wake.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Due.
        }
    }

    private static T Min<T>(T a, T b)
        where T : IComparable<T> => a.CompareTo(b) <= 0 ? a : b;

    private static T Max<T>(T a, T b)
        where T : IComparable<T> => a.CompareTo(b) >= 0 ? a : b;
}
