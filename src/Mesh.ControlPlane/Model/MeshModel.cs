using System.Collections.Immutable;
using Mesh.ControlPlane.Model.Policies;

namespace Mesh.ControlPlane.Model;

/// <summary>Everything the sources agreed on: no Kubernetes, no protobuf. Immutable.</summary>
internal sealed record MeshModel
{
    public static MeshModel Empty { get; } = new();

    public ImmutableDictionary<ServiceName, Service> Services { get; init; } = ImmutableDictionary<ServiceName, Service>.Empty;

    /// <summary>What listens, by namespace, address, port and name: whom selectors mean.</summary>
    public ImmutableArray<Workload> Workloads { get; init; } = [];

    /// <summary>HTTPRoutes and GRPCRoutes, oldest first, then by namespace and name (Gateway API precedence).</summary>
    public ImmutableArray<TrafficRoute> Routes { get; init; } = [];

    /// <summary>TLSRoutes and TCPRoutes, in the same order.</summary>
    public ImmutableArray<ConnectionRoute> ConnectionRoutes { get; init; } = [];

    /// <summary>Of every kind, in the order in which they win against each other: oldest first, then by namespace and name.</summary>
    public ImmutableArray<TrafficPolicy> Policies { get; init; } = [];

    /// <summary>Some rule is for certain callers only, so routes differ by who asks.</summary>
    public bool RoutesDependOnCaller => Policies.Any(p => p.Values.Any(v => v.Setting == MatchSettings.Callers) && p.Attachments.Any(a => a.IsAccepted));

    /// <summary>What became of each route, those that were never valid too, by kind, namespace and name.</summary>
    public ImmutableArray<RouteReport> RouteReports { get; init; } = [];

    /// <summary>Namespaces whose requests nobody may watch live (<c>meshlib.io/disable-tap</c>).</summary>
    public ImmutableHashSet<string> UntappableNamespaces { get; init; } = [];

    /// <summary>What was refused or could not be used, with file and line.</summary>
    public ImmutableArray<SourceProblem> Problems { get; init; } = [];
}

/// <summary>A Service's namespace and name.</summary>
internal readonly record struct ServiceName(string Namespace, string Name)
{
    public override string ToString() => $"{Namespace}/{Name}";
}

/// <summary>A Service with the endpoints behind it.</summary>
internal sealed record Service(ServiceName Name, ImmutableArray<ServicePort> Ports, ImmutableArray<ServiceEndpoint> Endpoints)
{
    /// <summary>The Service's own addresses, when it has some: an address of a listener, as an endpoint's is.</summary>
    public ImmutableArray<string> ClusterIps { get; init; } = [];

    /// <summary>Callers find its Pods by DNS and mean each of them.</summary>
    public bool IsHeadless { get; init; }

    /// <summary>Of type ExternalName: the host that it stands for, at any port, outside the mesh.</summary>
    public string? ExternalName { get; init; }

    /// <summary>What <see cref="ExternalName"/> was resolved to.</summary>
    public ImmutableArray<string> ExternalAddresses { get; init; } = [];

    public TrafficDistribution Distribution { get; init; }

    /// <summary>Endpoints of the caller's own node and no others.</summary>
    public bool OnlyOwnNode { get; init; }

    /// <summary>Nobody may watch its requests live (<c>meshlib.io/disable-tap</c>).</summary>
    public bool TapDisabled { get; init; }

    /// <summary>Callers get other endpoints, or others first, by where they are.</summary>
    public bool DependsOnPlace => Distribution != TrafficDistribution.None || OnlyOwnNode;

    /// <summary>The port under a number; of an external host there is each.</summary>
    public ServicePort? FindPort(int port) =>
        Ports.FirstOrDefault(p => p.Port == port) ?? (ExternalName is null ? null : new ServicePort(string.Empty, port, null));

    /// <param name="instance">Only this one (<see cref="ServiceEndpoint.Instance"/>); null is all.</param>
    public IEnumerable<ServiceEndpoint> EndpointsOf(ServicePort port, string? instance = null) =>
        ExternalName is not null ? ExternalAddresses.Select(a => new ServiceEndpoint(port.Name, a, port.Port, null, Ready: true, string.Empty, Meshed: false))
        : Endpoints.Where(e => e.PortName == port.Name && (instance is null || e.Instance == instance));
}

/// <param name="Name">May be empty when it is the only one.</param>
/// <param name="Port">1–65535, what callers write.</param>
/// <param name="AppProtocol">As declared (<c>http</c>, <c>kubernetes.io/h2c</c>, …); null when not.</param>
internal sealed record ServicePort(string Name, int Port, string? AppProtocol)
{
    /// <summary>What annotation <c>meshlib.io/opaque-ports</c> says of it; null where there is none.</summary>
    public bool? DeclaredOpaque { get; init; }
}

/// <summary>One address behind one port of a Service.</summary>
/// <param name="PortName">The <see cref="ServicePort.Name"/> it serves.</param>
/// <param name="Address">An IP literal.</param>
/// <param name="ServiceAccount">Null when nothing says who runs there: then it cannot be meshed.</param>
/// <param name="Meshed">True once a workload with that identity served this address; it stays true while the endpoint exists (contracts §3).</param>
internal sealed record ServiceEndpoint(string PortName, string Address, int Port, string? ServiceAccount, bool Ready, string Zone, bool Meshed)
{
    /// <summary>A sidecar serves it: mesh TLS may carry any bytes there.</summary>
    public bool SpeaksTcp { get; init; }

    public string Region { get; init; } = string.Empty;

    /// <summary>Of the Kubernetes cluster; empty when nothing says it.</summary>
    public string NodeName { get; init; } = string.Empty;

    /// <summary>Not ready because it terminates, and it serves still: for calls that belong to it, and for all when nobody else is there.</summary>
    public bool Draining { get; init; }

    /// <summary>Of a StatefulSet's Pod its name; empty when nothing says it.</summary>
    public string Hostname { get; init; } = string.Empty;

    /// <summary>The label before the Service's name under which DNS has this one alone.</summary>
    public string Instance => Hostname.Length > 0 ? Hostname : InstanceOf(Address);

    public static string InstanceOf(string address) => address.Replace('.', '-').Replace(':', '-');

    public string HostPort => Address.Contains(':', StringComparison.Ordinal) ? $"[{Address}]:{Port}" : $"{Address}:{Port}";
}

/// <summary>Something in a source that is not used, and why.</summary>
/// <param name="Where">File and line, such as <c>catalog.yaml:12</c>.</param>
/// <param name="What">What is wrong, with the value seen, and how to fix it.</param>
internal sealed record SourceProblem(string Where, string What);
