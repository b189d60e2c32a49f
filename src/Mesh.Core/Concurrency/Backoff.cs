namespace Mesh.Concurrency;

/// <summary>Waiting times between tries: exponential, jittered, capped. Not thread-safe: owned by one loop.</summary>
/// <remarks>Defaults of gRFC A57 and gRPC's connection backoff: 1 s, × 1.6, jitter ± 20 %, at most 120 s.</remarks>
internal sealed class Backoff(Random random, TimeSpan? first = null, TimeSpan? max = null, double factor = 1.6, double jitter = 0.2)
{
    private readonly TimeSpan _first = first ?? TimeSpan.FromSeconds(1);
    private readonly TimeSpan _max = max ?? TimeSpan.FromSeconds(120);
    private int _tries;

    /// <summary>The time to wait before the next try.</summary>
    public TimeSpan Next()
    {
        var seconds = Math.Min(_first.TotalSeconds * Math.Pow(factor, _tries), _max.TotalSeconds);
        _tries++;
        return TimeSpan.FromSeconds(seconds * (1 - jitter + (2 * jitter * random.NextDouble())));
    }

    /// <summary>The last try worked: start again from the first waiting time.</summary>
    public void Reset() => _tries = 0;
}
