using Mesh.Concurrency;
using Mesh.Config;
using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

/// <summary>Keeps the workload's certificate and trust current: renews at half the certificate's life, keeps the old one while that fails, takes a new trust bundle at once.</summary>
/// <remarks>
/// All state but the published identity is owned by the one loop; a fetch runs beside it. Waits are at most a minute and end by whichever clock is first,
/// so that neither a clock that jumped nor a machine that slept keeps a certificate past its time.
/// </remarks>
internal sealed partial class SvidRotator(ISvidSource source, TimeProvider time, Random random, ILogger<SvidRotator> logger) : IWorkloadIdentitySource, IAsyncDisposable
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(1);
    private readonly Feed _feed = new();
    private readonly TaskCompletionSource<WorkloadIdentity> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _wake = new(0, 1);
    private readonly Backoff _backoff = new(random, max: TimeSpan.FromSeconds(30));
    private volatile string? _problem;
    private volatile LeafPolicy? _policy;
    private volatile TrustBundle? _bundle;
    private volatile bool _hasNews;
    private IDisposable? _snapshots;
    private IDisposable? _news;
    private Task? _running;
    private int _disposed;

    private readonly TrustState _trust = new();
    private TrustBundle? _askedUnder;
    private Task<IssuedSvid>? _fetching;
    private DateTimeOffset _obtainedAt;
    private Appointment _renewal;
    private DateTimeOffset? _policySeen;
    private Stage _told;

    private enum Stage
    {
        Fresh,
        Aging,
        Over,
    }

    /// <inheritdoc/>
    public WorkloadIdentity? Current => _feed.Current.Identity;

    /// <inheritdoc/>
    public string? Problem => _problem;

    /// <inheritdoc/>
    public ValueTask<WorkloadIdentity> GetAsync(CancellationToken cancellationToken) =>
        Current is { } current ? new(current) : new(_first.Task.WaitAsync(cancellationToken));

    /// <inheritdoc/>
    public IDisposable Subscribe(Action<WorkloadIdentity> onChanged) => _feed.Subscribe(held =>
    {
        if (held.Identity is { } identity)
        {
            onChanged(identity);
        }
    });

    /// <summary>Starts the loop; never waits.</summary>
    /// <param name="snapshots">Where the control plane's <see cref="LeafPolicy"/> and <see cref="TrustBundle"/> appear.</param>
    public void Start(SnapshotStore snapshots)
    {
        _snapshots = snapshots.Subscribe(snapshot =>
        {
            // None is no word against the one that holds.
            var (policy, bundle) = (snapshot.LeafPolicy ?? _policy, snapshot.TrustBundle ?? _bundle);
            if (policy != _policy || !ReferenceEquals(bundle, _bundle))
            {
                (_policy, _bundle) = (policy, bundle);
                Wake();
            }
        });
        _news = source.Subscribe(() =>
        {
            _hasNews = true;
            Wake();
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

        _snapshots?.Dispose();
        _news?.Dispose();
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
                if (_fetching is { IsCompleted: true })
                {
                    await EndFetchAsync(cancellationToken).ConfigureAwait(false);
                }

                FollowBundle();
                if (_fetching is null)
                {
                    // What a fetch under way brings may be older than these ask for: they wait for its end.
                    FollowPolicy(time.GetUtcNow());
                    FollowNews();
                    if (_renewal.Left(time) <= TimeSpan.Zero)
                    {
                        _askedUnder = _trust.LastTold;
                        _fetching = FetchAsync(cancellationToken);
                    }
                }

                TellAge(time.GetUtcNow());
                await WaitAsync(cancellationToken).ConfigureAwait(false);
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

        await ((Task?)_fetching ?? Task.CompletedTask).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    // Async, so that a source that throws before its first await fails its task and not the loop.
    private async Task<IssuedSvid> FetchAsync(CancellationToken cancellationToken) => await source.FetchAsync(Current, cancellationToken).ConfigureAwait(false);

    private async Task EndFetchAsync(CancellationToken cancellationToken)
    {
        var fetched = _fetching!;
        _fetching = null;
        try
        {
            Take(await fetched.ConfigureAwait(false));
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            _renewal = new Appointment(time, _backoff.Next());
            // The same reason again is not news.
            var known = _problem == e.Message;
            _problem = e.Message;
            if (known)
            {
                Log.CertificateStillNotIssued(logger, e.Message, _renewal.At);
            }
            else if (e is SvidException { NeedsPerson: false })
            {
                Log.CertificateNotIssued(logger, e.Message, _renewal.At);
            }
            else
            {
                Log.CertificateRefused(logger, e.Message, _renewal.At, e is SvidException ? null : e);
            }
        }
    }

    private void Take(IssuedSvid issued)
    {
        _problem = null;
        _backoff.Reset();
        var isVouchedFor = _trust.Issued(issued, _askedUnder);
        if (Current is { } current && current.Svid.Leaf.RawDataMemory.Span.SequenceEqual(issued.Svid.Leaf.RawDataMemory.Span))
        {
            // A source that is given its certificates has no newer one yet: it will say so, and is asked beside.
            _renewal = new Appointment(time, LongestWait);
            PublishTrust();
            return;
        }

        _obtainedAt = time.GetUtcNow();
        // The life that is left, not the life from NotBefore: authorities date certificates back against clock skew.
        var left = Max(issued.Svid.NotAfter - _obtainedAt, TimeSpan.FromSeconds(2));
        _renewal = new Appointment(time, isVouchedFor ? left * (0.4 + (0.2 * random.NextDouble())) : Soon());
        _told = Stage.Fresh;
        var next = new WorkloadIdentity(issued.Svid, _trust.Bundle!, (Current?.Generation ?? 0) + 1);
        _feed.Publish(new Held(next));
        _first.TrySetResult(next);
        Log.CertificateIssued(logger, issued.Svid.Id, next.Generation, issued.Svid.NotAfter, _renewal.At);
        if (_obtainedAt < issued.Svid.NotBefore)
        {
            Log.ClockIsBehind(logger, issued.Svid.Id, issued.Svid.NotBefore, _obtainedAt);
        }
    }

    /// <summary>The same certificate under another bundle, when that says something else.</summary>
    private void PublishTrust()
    {
        if (Current is { } current && _trust.Bundle is { } bundle && !bundle.Equals(current.Bundle))
        {
            var next = current.With(bundle);
            Log.TrustChanged(logger, bundle.TrustDomain, bundle.Roots.Count, bundle.RevokedIds.Count, bundle.RevokedSerials.Count, next.Generation);
            _feed.Publish(new Held(next));
        }
    }

    private void FollowBundle()
    {
        if (_bundle is not { } bundle || ReferenceEquals(bundle, _trust.LastTold))
        {
            return;
        }

        var vouchesForUs = _trust.Told(bundle);
        PublishTrust();
        if (!vouchesForUs)
        {
            _renewal = new Appointment(time, Soon());
            Log.NotVouchedFor(logger, Current!.Svid.Id);
        }
    }

    private void FollowNews()
    {
        if (_hasNews)
        {
            _hasNews = false;
            _renewal = default;
        }
    }

    /// <summary>A leaf older than the control plane asks is renewed within a second. Each value acts once, and a newer value always: clock skew neither loops nor hides it.</summary>
    private void FollowPolicy(DateTimeOffset now)
    {
        if (_policy?.IssuedAfter is not { } issuedAfter || Current is null || issuedAfter == _policySeen)
        {
            return;
        }

        var first = _policySeen is null;
        var newer = _policySeen < issuedAfter;
        _policySeen = first || newer ? issuedAfter : _policySeen;
        if (newer || (first && _obtainedAt < issuedAfter))
        {
            var soon = Soon();
            if (_renewal.Left(time) > soon)
            {
                _renewal = new Appointment(time, soon);
            }

            Log.RenewalAsked(logger, issuedAfter);
        }
    }

    private void TellAge(DateTimeOffset now)
    {
        if (Current?.Svid is not { } svid)
        {
            return;
        }

        var problem = _problem ?? "no newer one was given";
        if (now >= svid.NotAfter)
        {
            if (_told != Stage.Over)
            {
                _told = Stage.Over;
                Log.CertificateOver(logger, svid.Id, svid.NotAfter, problem);
            }
        }
        else if (_told == Stage.Fresh && now >= _obtainedAt + ((svid.NotAfter - _obtainedAt) * 0.75))
        {
            _told = Stage.Aging;
            Log.CertificateAging(logger, svid.Id, svid.NotAfter, problem);
        }
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var due = _fetching is null ? Max(_renewal.Left(time), TimeSpan.FromMilliseconds(1)) : LongestWait;
        using var elapsed = new CancellationTokenSource(due < LongestWait ? due : LongestWait, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(elapsed.Token, cancellationToken);
        var woken = _wake.WaitAsync(either.Token);
        await Task.WhenAny(woken, _fetching ?? woken).ConfigureAwait(false);
        await either.CancelAsync().ConfigureAwait(false);
        await woken.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Within a second: not all workloads at once.</summary>
    private TimeSpan Soon() => TimeSpan.FromSeconds(random.NextDouble());

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a >= b ? a : b;

    private sealed record Held(WorkloadIdentity? Identity);

    private sealed class Feed() : WatchedValue<Held>(new Held(null));
}
