using System.Collections.Frozen;
using Mesh.Routing;

namespace Mesh.Outbound;

/// <summary>The TCP chains of a listener compiled: which cluster takes a connection. Immutable and thread-safe.</summary>
/// <remarks>Envoy, FilterChainMatch.server_names: exact, then the longest wildcard suffix, then a chain without server names. Names are compared without case (RFC 6066 §3).</remarks>
internal sealed class TcpRoutes
{
    private readonly FrozenDictionary<string, WeightedClusters<OutboundCluster>>.AlternateLookup<ReadOnlySpan<char>> _exact;

    // By what follows the star: ".example.com".
    private readonly FrozenDictionary<string, WeightedClusters<OutboundCluster>>.AlternateLookup<ReadOnlySpan<char>> _suffixes;
    private readonly WeightedClusters<OutboundCluster>? _default;

    /// <param name="chains">No two take the same server name.</param>
    public TcpRoutes(IReadOnlyList<(IReadOnlyList<string> ServerNames, WeightedClusters<OutboundCluster> Clusters)> chains)
    {
        var exact = new Dictionary<string, WeightedClusters<OutboundCluster>>(StringComparer.OrdinalIgnoreCase);
        var suffixes = new Dictionary<string, WeightedClusters<OutboundCluster>>(StringComparer.OrdinalIgnoreCase);
        foreach (var (names, clusters) in chains)
        {
            if (names.Count == 0)
            {
                _default = clusters;
            }

            foreach (var name in names)
            {
                if (name.StartsWith('*'))
                {
                    suffixes.Add(name[1..], clusters);
                }
                else
                {
                    exact.Add(name, clusters);
                }
            }
        }

        NeedsServerName = exact.Count + suffixes.Count > 0;
        _exact = exact.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase).GetAlternateLookup<ReadOnlySpan<char>>();
        _suffixes = suffixes.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase).GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The pick may differ by server name: who never looks at the first bytes would pick wrongly.</summary>
    public bool NeedsServerName { get; }

    /// <param name="sni">The server name of the connection's TLS ClientHello; null when it is not TLS, or names none.</param>
    /// <returns>Null when no chain takes such a connection.</returns>
    public OutboundCluster? Pick(string? sni, Random random) => Find(sni)?.Pick(random);

    private WeightedClusters<OutboundCluster>? Find(string? sni)
    {
        if (string.IsNullOrEmpty(sni) || !NeedsServerName)
        {
            return _default;
        }

        if (_exact.TryGetValue(sni, out var found))
        {
            return found;
        }

        // Longest first. A wildcard stands for at least one character.
        for (var dot = sni.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = sni.IndexOf('.', dot + 1))
        {
            if (dot > 0 && _suffixes.TryGetValue(sni.AsSpan(dot), out found))
            {
                return found;
            }
        }

        return _default;
    }
}
