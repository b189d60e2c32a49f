using System.Collections.Concurrent;
using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>Bounds what one identity can make us sign: a token bucket each. Thread-safe.</summary>
/// <remarks>Generous: many replicas share an identity, and leaves of 20 s are renewed every 10 s.</remarks>
internal sealed class IssuanceRate(TimeProvider time)
{
    public const int PerMinute = 120;

    private const int MaxBuckets = 50_000;
    private readonly ConcurrentDictionary<SpiffeId, Bucket> _buckets = new();

    public bool TryTake(SpiffeId id)
    {
        if (_buckets.Count >= MaxBuckets)
        {
            _buckets.Clear();
        }

        return _buckets.GetOrAdd(id, _ => new Bucket(time.GetTimestamp())).TryTake(time);
    }

    private sealed class Bucket(long now)
    {
        private readonly Lock _lock = new();
        private double _left = PerMinute;
        private long _last = now;

        public bool TryTake(TimeProvider time)
        {
            lock (_lock)
            {
                var now = time.GetTimestamp();
                _left = Math.Min(PerMinute, _left + (time.GetElapsedTime(_last, now).TotalMinutes * PerMinute));
                _last = now;
                if (_left < 1)
                {
                    return false;
                }

                _left--;
                return true;
            }
        }
    }
}
