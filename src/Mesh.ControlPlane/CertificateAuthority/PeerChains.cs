using Mesh.Spiffe;

namespace Mesh.ControlPlane.CertificateAuthority;

/// <summary>What the certificates that were shown in handshakes rest on, by identity and serial: later a connection tells its peer's leaf alone. Thread-safe.</summary>
internal sealed class PeerChains(TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<(SpiffeId Id, string Serial), Peer> _chains = [];
    private int _sweepAt = 1_000;

    /// <summary>Notes a verified chain. A leaf that was shown by several issuers rests on all of them: which connection had which is not known.</summary>
    public void Remember(Peer peer)
    {
        if (peer.Id is null)
        {
            return;
        }

        lock (_lock)
        {
            var key = (peer.Id, peer.Serials[0]);
            if (_chains.TryGetValue(key, out var known))
            {
                peer = peer with
                {
                    Serials = [.. peer.Serials.Union(known.Serials, StringComparer.Ordinal)],
                    NotAfter = known.NotAfter < peer.NotAfter ? known.NotAfter : peer.NotAfter,
                };
            }

            _chains[key] = peer;
            if (_chains.Count > _sweepAt)
            {
                SweepLocked(time.GetUtcNow());
            }
        }
    }

    /// <returns>Null when it was never shown, or is over.</returns>
    public Peer? Of(SpiffeId id, string serial)
    {
        lock (_lock)
        {
            return _chains.TryGetValue((id, serial), out var peer) && peer.NotAfter > time.GetUtcNow() ? peer : null;
        }
    }

    private void SweepLocked(DateTimeOffset now)
    {
        foreach (var (key, _) in _chains.Where(c => c.Value.NotAfter <= now).ToList())
        {
            _chains.Remove(key);
        }

        _sweepAt = Math.Max(1_000, _chains.Count * 2);
    }
}
