using System.Collections.Immutable;
using Mesh.Spiffe;

namespace Mesh.Config;

/// <summary>Puts a snapshot together and refuses to give out half of one. Not thread-safe.</summary>
internal sealed class SnapshotBuilder
{
    private readonly ImmutableDictionary<string, ListenerResult>.Builder _listeners = ImmutableDictionary.CreateBuilder<string, ListenerResult>(StringComparer.Ordinal);
    private readonly ImmutableDictionary<string, ClusterResult>.Builder _clusters = ImmutableDictionary.CreateBuilder<string, ClusterResult>(StringComparer.Ordinal);

    public LeafPolicy? LeafPolicy { get; set; }

    public TrustBundle? TrustBundle { get; set; }

    public void Add(string name, ListenerResult listener) => _listeners[name] = listener;

    public void Add(string name, ClusterResult cluster) => _clusters[name] = cluster;

    /// <summary>The snapshot.</summary>
    /// <exception cref="InvalidOperationException">A listener has no routes, or routes name a cluster that is not here: a defect of the caller.</exception>
    public MeshSnapshot Build()
    {
        var missing = new List<string>();
        foreach (var (name, result) in _listeners)
        {
            if (result is not ListenerResult.Found found)
            {
                continue;
            }

            if (found.Listener.Api is not null && found.Routes is null)
            {
                missing.Add($"listener '{name}' has no routes");
            }

            missing.AddRange(ClustersOf(found).Where(c => !_clusters.ContainsKey(c)).Select(c => $"listener '{name}' needs cluster '{c}'"));
        }

        return missing.Count == 0
            ? new MeshSnapshot { Listeners = _listeners.ToImmutable(), Clusters = _clusters.ToImmutable(), LeafPolicy = LeafPolicy, TrustBundle = TrustBundle }
            : throw new InvalidOperationException($"The snapshot is not complete: {string.Join("; ", missing)}.");
    }

    /// <summary>Every cluster that a listener names, itself or in its routes, each once.</summary>
    public static IEnumerable<string> ClustersOf(ListenerResult.Found found) => ClustersOf(found.Listener, found.Routes);

    /// <summary>Every cluster that a listener and its routes name, each once.</summary>
    public static IEnumerable<string> ClustersOf(Listener listener, RouteConfiguration? routes) => listener.Tcp
        .SelectMany(chain => chain.Clusters.Select(cluster => cluster.Name))
        .Concat(routes is null ? [] : ClustersOf(routes))
        .Distinct(StringComparer.Ordinal);

    /// <summary>Every cluster that routes name, each once.</summary>
    public static IEnumerable<string> ClustersOf(RouteConfiguration routes) => routes.VirtualHosts
        .SelectMany(host => host.Routes)
        .Select(route => route.Action)
        .OfType<RouteAction.Forward>()
        .SelectMany(forward => forward.Clusters.Select(cluster => cluster.Name).Concat(forward.Mirrors.Select(mirror => mirror.Cluster)))
        .Distinct(StringComparer.Ordinal);
}
