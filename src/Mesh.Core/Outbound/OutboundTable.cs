using System.Collections.Frozen;
using Mesh.Config;
using Mesh.Resilience;
using Mesh.Routing;

namespace Mesh.Outbound;

/// <summary>A snapshot compiled for calls. Immutable; a call reads it once.</summary>
internal sealed class OutboundTable(FrozenDictionary<ListenerKey, OutboundListener> listeners)
{
    public static OutboundTable Empty { get; } = new(FrozenDictionary<ListenerKey, OutboundListener>.Empty);

    /// <summary>By what they are asked for.</summary>
    public IReadOnlyDictionary<ListenerKey, OutboundListener> Listeners => listeners;

    /// <summary>Null when the name has had no answer yet, or was never asked for.</summary>
    public OutboundListener? Find(ListenerKey key) => listeners.GetValueOrDefault(key);
}

/// <summary>What is known of one name that was asked for. Immutable, but for the name it is tied to.</summary>
/// <param name="Result">What it was compiled from.</param>
internal sealed record OutboundListener(ListenerResult Result)
{
    /// <summary>The control plane knows no such name: the call goes its own way.</summary>
    public bool PassesThrough => Result is ListenerResult.DoesNotExist;

    /// <summary>Where calls leave their mark; null when nobody asked for the name. Written by <see cref="AskedNames"/>.</summary>
    public AskedName? Name { get; set; }

    /// <summary>Why there are no routes; null when there are.</summary>
    public string? Unavailable { get; init; }

    /// <summary>Routes for the authority; null when the routes have no virtual host for it, or there is no HTTP (<see cref="IsOpaque"/>).</summary>
    public VirtualHostRoutes<OutboundRoute>? Host { get; init; }

    /// <summary>Where connections go whose bytes are not read as HTTP; null when the listener is not for a sidecar.</summary>
    public TcpRoutes? Tcp { get; init; }

    /// <summary>Its bytes are never read as HTTP: every connection goes by <see cref="Tcp"/>.</summary>
    public bool IsOpaque => Tcp is not null && Result is ListenerResult.Found { Listener.Api: null };

    public Destination? Destination { get; init; }

    /// <summary>The clusters that it was compiled with.</summary>
    public IReadOnlyList<OutboundCluster> Clusters { get; init; } = [];
}

/// <summary>One route compiled: where to, and how failure is treated. Immutable.</summary>
internal sealed record OutboundRoute(Route Config)
{
    /// <summary>Where its calls are counted.</summary>
    public RouteSeries? Series { get; init; }

    /// <summary>Null when the route does not forward.</summary>
    public WeightedClusters<OutboundTarget>? Clusters { get; init; }

    /// <summary>Changes of an answer that is the route's own; null when there are none.</summary>
    public Steering? OwnAnswer { get; init; }

    /// <summary>Null when the route copies nothing.</summary>
    public OutboundMirror[]? Mirrors { get; init; }

    /// <summary>Null when the route says nothing of hashes.</summary>
    public CallHasher? Hasher { get; init; }

    /// <summary>Null when nothing is armed.</summary>
    public RouteResilience? Resilience { get; init; }

    /// <summary>The limits that were compared with it; owned by <see cref="LimitsCheck"/>.</summary>
    public CallLimits[] CheckedLimits { get; set; } = [];

    /// <summary>The same under what apps allow; null when the route does not forward.</summary>
    public NarrowedResilience? Narrowed { get; init; }

    /// <param name="limits">What the app allows at most; null is what the route says.</param>
    public RouteResilience? ResilienceFor(CallLimits? limits) => limits is null || Narrowed is null ? Resilience : Narrowed.For(limits);
}

/// <summary>One of a route's clusters, with what is different on the way to it. Immutable.</summary>
internal sealed record OutboundTarget(OutboundCluster Cluster)
{
    /// <summary>Null when request and response stay as they are.</summary>
    public Steering? Steering { get; init; }

    /// <summary>Null when no call is failed on purpose.</summary>
    public FaultInjector? Faults { get; init; }

    /// <summary>Null when calls have no sessions.</summary>
    public SessionAffinity? Session { get; init; }
}

/// <summary>Where copies of a route's calls go. Immutable.</summary>
/// <param name="PerMillion">Share of the calls.</param>
/// <param name="Listener">Stands for the copies in metrics: their destination is the service of the cluster.</param>
internal sealed record OutboundMirror(OutboundCluster Cluster, int PerMillion, OutboundListener Listener);
