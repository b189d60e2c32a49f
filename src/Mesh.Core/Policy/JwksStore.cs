using Mesh.Config;
using Microsoft.Extensions.Logging;

namespace Mesh.Policy;

/// <summary>The key sources of this process, one per issuer's address however many policies name it. Thread-safe.</summary>
/// <param name="random">Used under the lock.</param>
/// <remarks>A source lives as long as a policy in force holds it; a new policy for the same address takes up the keys of the old.</remarks>
internal sealed class JwksStore(JwksFetcher fetcher, TimeProvider time, Random random, ILogger<JwksStore> logger) : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();

    // Guarded by _lock.
    private readonly Dictionary<JwtKeys.Remote, WeakReference<JwksSource>> _sources = [];

    public KeySource Get(JwtKeys keys) => keys switch
    {
        JwtKeys.Inline inline => new FixedKeys(inline.Set),
        JwtKeys.Remote remote => Remote(remote),
        _ => NoKeys.Instance,
    };

    public void Dispose()
    {
        _stopping.Cancel();
        fetcher.Dispose();
        _stopping.Dispose();
    }

    private JwksSource Remote(JwtKeys.Remote settings)
    {
        JwksSource? source;
        lock (_lock)
        {
            if (!_sources.TryGetValue(settings, out var known) || !known.TryGetTarget(out source))
            {
                foreach (var (gone, _) in _sources.Where(s => !s.Value.TryGetTarget(out _)).ToArray())
                {
                    _sources.Remove(gone);
                }

                source = new JwksSource(settings, fetcher, time, new Random(random.Next()), logger, _stopping.Token);
                _sources[settings] = new WeakReference<JwksSource>(source);
            }
        }

        source.Prefetch();
        return source;
    }
}
