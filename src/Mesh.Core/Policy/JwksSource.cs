using Mesh.Concurrency;
using Mesh.Config;
using Mesh.Jwt;
using Microsoft.Extensions.Logging;

namespace Mesh.Policy;

/// <summary>The keys that an issuer publishes, kept: asked for anew before they are old, kept while the issuer is away, and after a day without an answer believed no more. Thread-safe.</summary>
/// <remarks>
/// There is no timer: requests start what is due. In the last fifth of the keys' life a request starts a fetch and does not wait for it; later requests wait for the one fetch under way.
/// While fetches fail, the last good keys serve and one request in a growing while starts another fetch; with no keys at all requests fail at once in between.
/// </remarks>
/// <param name="random">For back-off; its own.</param>
internal sealed partial class JwksSource(JwtKeys.Remote settings, JwksFetcher fetcher, TimeProvider time, Random random, ILogger logger, CancellationToken stopping) : KeySource
{
    /// <summary>Where neither the configuration nor the issuer says anything.</summary>
    public static readonly TimeSpan DefaultLife = TimeSpan.FromMinutes(10);

    /// <summary>What an issuer may say by Cache-Control.</summary>
    public static readonly TimeSpan ShortestLife = TimeSpan.FromMinutes(1);

    /// <inheritdoc cref="ShortestLife"/>
    public static readonly TimeSpan LongestLife = TimeSpan.FromDays(1);

    /// <summary>Without an answer for so long, the last good keys are believed no more.</summary>
    public static readonly TimeSpan LongestStale = TimeSpan.FromDays(1);

    /// <summary>Tokens with unknown keys make at most one fetch in this time.</summary>
    public static readonly TimeSpan BetweenUnknown = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private volatile Kept? _kept;
    private volatile bool _failing;

    // Guarded by _lock.
    private readonly Backoff _backoff = new(random, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30));
    private Task? _fetch;
    private long? _lastStart;
    private long? _notBefore;

    public override JsonWebKeySet? Current
    {
        get
        {
            if (_kept is not { } kept)
            {
                return null;
            }

            var age = time.GetElapsedTime(kept.Since);
            // Past their life they are asked for, and waited for, first; but an issuer that is away must not slow down what the last good ones can serve.
            if (age >= kept.Life && !(_failing && age < LongestStale))
            {
                return null;
            }

            if (age >= kept.RefreshAfter)
            {
                _ = Due();
            }

            return kept.Set;
        }
    }

    /// <summary>Starts the first fetch, so that the first request need not wait for it.</summary>
    public void Prefetch()
    {
        if (_kept is null)
        {
            _ = Due();
        }
    }

    public override async ValueTask<JsonWebKeySet?> GetAsync(CancellationToken cancellationToken)
    {
        if (Current is { } current)
        {
            return current;
        }

        if (Due() is { } fetch)
        {
            await fetch.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return Usable();
    }

    public override async ValueTask<JsonWebKeySet?> GetNewerAsync(JsonWebKeySet seen, CancellationToken cancellationToken)
    {
        Task? fetch;
        lock (_lock)
        {
            // A fetch under way began before or after the key was made: its answer is worth waiting for.
            fetch = _fetch ?? (_lastStart is { } last && time.GetElapsedTime(last) < BetweenUnknown ? null : StartLocked());
        }

        if (fetch is not null)
        {
            await fetch.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        return Usable() is { } newer && !ReferenceEquals(newer, seen) ? newer : null;
    }

    /// <summary>The fetch under way, or a new one if it is time for it; null while the last failure is too recent.</summary>
    private Task? Due()
    {
        lock (_lock)
        {
            return _fetch ?? (_notBefore is { } then && time.GetTimestamp() < then ? null : StartLocked());
        }
    }

    private JsonWebKeySet? Usable() => _kept is { } kept && time.GetElapsedTime(kept.Since) < LongestStale ? kept.Set : null;

    private Task StartLocked()
    {
        _lastStart = time.GetTimestamp();
        // Nothing of the request goes along: not its deadline, not its span. It ends by taking the lock, so _fetch is set before.
        AsyncFlowControl? flow = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
        try
        {
            return _fetch = Task.Run(FetchAsync, CancellationToken.None);
        }
        finally
        {
            flow?.Undo();
        }
    }

    private async Task FetchAsync()
    {
        FetchedKeys? fetched = null;
        var problem = string.Empty;
        try
        {
            fetched = await fetcher.FetchAsync(settings.Uri, settings.Timeout, stopping).ConfigureAwait(false);
        }
        catch (JwksException e)
        {
            problem = e.Message;
        }
#pragma warning disable CA1031 // Whatever it is, the requests that wait must learn that there are no keys, and the next fetch must be allowed.
        catch (Exception e)
#pragma warning restore CA1031
        {
            problem = e.Message;
        }

        var before = _kept;
        lock (_lock)
        {
            if (fetched is not null)
            {
                // The same keys stay the same object: tokens that were verified with them need not be verified again.
                var set = before is not null && before.Set.IsSameAs(fetched.Set) ? before.Set : fetched.Set;
                _kept = new Kept(set, time.GetTimestamp(), Life(fetched.MaxAge));
                _failing = false;
                _backoff.Reset();
                _notBefore = null;
            }
            else
            {
                _failing = true;
                _notBefore = time.GetTimestamp() + (long)(_backoff.Next().TotalSeconds * time.TimestampFrequency);
            }

            _fetch = null;
        }

        if (fetched is null)
        {
            if (stopping.IsCancellationRequested)
            {
                return;
            }

            if (Usable() is null)
            {
                Log.KeysUnavailable(logger, settings.Uri.GetLeftPart(UriPartial.Path), problem);
            }
            else
            {
                Log.KeysNotRefreshed(logger, settings.Uri.GetLeftPart(UriPartial.Path), problem);
            }
        }
        else if (before is null || !ReferenceEquals(before.Set, _kept!.Set))
        {
            Log.KeysFetched(logger, settings.Uri.GetLeftPart(UriPartial.Path), fetched.Set.Keys.Count);
        }
    }

    private TimeSpan Life(TimeSpan? maxAge)
    {
        var life = maxAge is { } said ? TimeSpan.FromTicks(Math.Clamp(said.Ticks, ShortestLife.Ticks, LongestLife.Ticks)) : settings.CacheDuration ?? DefaultLife;
        return settings.CacheDuration is { } most && most < life ? most : life < LongestLife ? life : LongestLife;
    }

    /// <param name="Since">Timestamp of the answer.</param>
    /// <param name="Life">Then they are used only if no others can be had.</param>
    private sealed record Kept(JsonWebKeySet Set, long Since, TimeSpan Life)
    {
        public TimeSpan RefreshAfter => Life * 0.8;
    }
}
