using System.Collections.Immutable;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests;

/// <summary>Kind, namespace and name: there is one object of each.</summary>
internal readonly record struct ManifestKey(string Kind, string Namespace, string Name)
{
    public override string ToString() => $"{Kind} '{Namespace}/{Name}'";
}

/// <summary>One valid object.</summary>
/// <param name="Where">File and line of its first line; in a cluster kind, namespace and name.</param>
internal abstract record Manifest(ManifestKey Key, string Where)
{
    public ServiceName Name => new(Key.Namespace, Key.Name);
}

/// <param name="ServiceAccount">Annotation <c>meshlib.io/service-account</c>.</param>
internal sealed record ServiceManifest(ManifestKey Key, string Where, ImmutableArray<ServicePortManifest> Ports, string? ServiceAccount)
    : Manifest(Key, Where)
{
    /// <summary>Labels of its Pods; empty: it selects nothing.</summary>
    public ImmutableSortedDictionary<string, string> Selector { get; init; } = ImmutableSortedDictionary<string, string>.Empty;

    public ImmutableArray<string> ClusterIps { get; init; } = [];

    public bool PublishNotReadyAddresses { get; init; }

    /// <summary>Of type ExternalName: the host name that it stands for.</summary>
    public string? ExternalName { get; init; }

    /// <summary><c>clusterIP: None</c>: callers find its Pods by DNS.</summary>
    public bool Headless { get; init; }

    public TrafficDistribution Distribution { get; init; }

    /// <summary><c>internalTrafficPolicy: Local</c>.</summary>
    public bool OnlyOwnNode { get; init; }

    /// <summary>Annotation <c>meshlib.io/opaque-ports</c>: numbers of its own ports; null where there is none.</summary>
    public PortRanges? OpaquePorts { get; init; }

    /// <summary>Annotation <c>meshlib.io/disable-tap</c>.</summary>
    public bool TapDisabled { get; init; }

    /// <summary>Stand for those of endpoints that no Pod stands for.</summary>
    public ImmutableSortedDictionary<string, string> Labels { get; init; } = ImmutableSortedDictionary<string, string>.Empty;
}

/// <param name="TargetPort">A number, or a container port's name; null is the same as <paramref name="Port"/>.</param>
internal sealed record ServicePortManifest(string Name, int Port, string? TargetPort, string? AppProtocol);

/// <param name="Service">Label <c>kubernetes.io/service-name</c>.</param>
/// <param name="Fqdn">Its addresses are names, to be resolved.</param>
internal sealed record EndpointSliceManifest(
    ManifestKey Key, string Where, string Service, bool Fqdn, ImmutableArray<SliceEndpointManifest> Endpoints, ImmutableArray<SlicePortManifest> Ports)
    : Manifest(Key, Where)
{
    /// <summary>Annotation <c>meshlib.io/service-account</c>.</summary>
    public string? ServiceAccount { get; init; }

    /// <summary>Annotation <c>meshlib.io/opaque-ports</c>: numbers at which its endpoints listen; null where there is none.</summary>
    public PortRanges? OpaquePorts { get; init; }
}

/// <param name="Pod">Name of the Pod that <c>targetRef</c> points at, in the slice's namespace.</param>
internal sealed record SliceEndpointManifest(ImmutableArray<string> Addresses, bool Ready, string Zone, string? Pod, string Where)
{
    /// <summary>It terminates and serves still.</summary>
    public bool Draining { get; init; }

    public string NodeName { get; init; } = string.Empty;

    /// <summary>Its first label of DNS behind a headless Service; empty where it has none.</summary>
    public string Hostname { get; init; } = string.Empty;
}

internal sealed record SlicePortManifest(string Name, int Port);

/// <param name="Addresses"><c>status.podIPs</c>, one of each family; none while it has none, and when it is over.</param>
internal sealed record PodManifest(
    ManifestKey Key, string Where, string ServiceAccount, ImmutableArray<string> Addresses, bool Ready,
    ImmutableSortedDictionary<string, string> Labels, ImmutableArray<ContainerPortManifest> Ports)
    : Manifest(Key, Where)
{
    public ImmutableArray<Probe> Probes { get; init; } = [];

    public string NodeName { get; init; } = string.Empty;

    /// <summary>With <see cref="Subdomain"/>, the name of a headless Service, its name in DNS.</summary>
    public string Hostname { get; init; } = string.Empty;

    public string Subdomain { get; init; } = string.Empty;

    /// <summary>It is being deleted.</summary>
    public bool Terminating { get; init; }

    /// <summary>Annotation <c>meshlib.io/meshed</c>: what a control plane saw serve it; null where there is none.</summary>
    public PodMark? Mark { get; init; }

    /// <summary>The annotation itself.</summary>
    public string? MarkText { get; init; }

    /// <summary>Annotation <c>meshlib.io/disable-tap</c>.</summary>
    public bool TapDisabled { get; init; }
}

/// <summary>What a Namespace says of all that is in it.</summary>
internal sealed record NamespaceManifest(ManifestKey Key, string Where, bool TapDisabled) : Manifest(Key, Where);

/// <summary>Where a Node of the cluster stands; empty where it does not say it.</summary>
internal sealed record NodeManifest(ManifestKey Key, string Where, string Region, string Zone) : Manifest(Key, Where);

internal sealed record ContainerPortManifest(string Name, int Port);

/// <param name="Created"><c>metadata.creationTimestamp</c>: the oldest route wins; null counts as the newest.</param>
internal sealed record RouteManifest(
    ManifestKey Key, string Where, bool Grpc, DateTimeOffset? Created, ImmutableArray<ParentRefManifest> Parents, ImmutableArray<RouteRule> Rules)
    : Manifest(Key, Where)
{
    /// <summary>Where each rule's backends stand, by rule and backend, for problems found later.</summary>
    public ImmutableArray<ImmutableArray<string>> BackendsWhere { get; init; } = [];

    /// <summary>What of it can't be done, as far as it tells itself.</summary>
    public ImmutableArray<RouteFinding> Findings { get; init; } = [];

    /// <summary>Each rule's filters, whose references are looked up later.</summary>
    public ImmutableArray<RuleFiltersManifest> Filters { get; init; } = [];
}

/// <summary>A TLSRoute or TCPRoute.</summary>
/// <param name="BackendsWhere">Where each backend stands.</param>
internal sealed record ConnectionRouteManifest(
    ManifestKey Key, string Where, DateTimeOffset? Created, ImmutableArray<string> Hostnames, ImmutableArray<ParentRefManifest> Parents,
    ImmutableArray<BackendRef> Backends, ImmutableArray<string> BackendsWhere)
    : Manifest(Key, Where)
{
    /// <summary>What of it can't be done, as far as it tells itself.</summary>
    public ImmutableArray<RouteFinding> Findings { get; init; } = [];

    public bool Tls => Key.Kind == ConnectionRouteReader.TlsKind;
}

/// <param name="SectionName">The name of the Service's port.</param>
internal sealed record ParentRefManifest(ServiceName Service, int? Port, string? SectionName, string Where)
{
    /// <summary>As written; null where it is the route's own.</summary>
    public string? Namespace { get; init; }
}

/// <summary>Lets routes of other namespaces point at Services of this one.</summary>
internal sealed record ReferenceGrantManifest(
    ManifestKey Key, string Where, ImmutableArray<GrantFrom> From, ImmutableArray<string?> ServiceNames)
    : Manifest(Key, Where)
{
    public bool Allows(ManifestKey route, ServiceName target) => target.Namespace == Key.Namespace
        && From.Any(f => f.Kind == route.Kind && f.Namespace == route.Namespace)
        && ServiceNames.Any(n => n is null || n == target.Name);
}

internal sealed record GrantFrom(string Kind, string Namespace);
