using System.Collections.Immutable;
using Mesh.Spiffe;

namespace Mesh.Config;

/// <summary>A complete, consistent set: every listener that is found has its routes, every cluster its routes name is here with its endpoints, or with the reason why not (gRFC A74).</summary>
internal sealed record MeshSnapshot
{
    public static MeshSnapshot Empty { get; } = new();

    /// <summary>By the name asked for. A name that was asked for and is not here has had no answer yet.</summary>
    public ImmutableDictionary<string, ListenerResult> Listeners { get; init; } = ImmutableDictionary<string, ListenerResult>.Empty;

    public ImmutableDictionary<string, ClusterResult> Clusters { get; init; } = ImmutableDictionary<string, ClusterResult>.Empty;

    /// <summary>Null when the control plane sends none.</summary>
    public LeafPolicy? LeafPolicy { get; init; }

    /// <summary>Who vouches for peers; null when the control plane sends none.</summary>
    public TrustBundle? TrustBundle { get; init; }
}

/// <summary>What is known of a listener.</summary>
internal abstract record ListenerResult
{
    /// <param name="Routes">Null for an inbound listener, and for an outbound one that reads no HTTP.</param>
    internal sealed record Found(Listener Listener, RouteConfiguration? Routes) : ListenerResult;

    /// <summary>The server says that there is none.</summary>
    internal sealed record DoesNotExist(string Reason) : ListenerResult;

    /// <summary>It could not be had: no connection yet and nothing cached, or no valid version.</summary>
    internal sealed record Unavailable(string Reason) : ListenerResult;
}

/// <summary>What is known of a cluster.</summary>
internal abstract record ClusterResult
{
    internal sealed record Found(Cluster Cluster, LoadAssignment Endpoints) : ClusterResult;

    internal sealed record Unavailable(string Reason) : ClusterResult;
}
