using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>When the sidecar starts.</summary>
internal enum SidecarOrder
{
    /// <summary>As an init container that stays (<c>restartPolicy: Always</c>): before every other container, until after the last. Kubernetes 1.29.</summary>
    Native,

    /// <summary>As the first of the containers.</summary>
    Classic,
}

/// <summary>Who has the kernel turn the pod's connections to the sidecar.</summary>
internal enum Redirection
{
    /// <summary>An init container, <c>mesh-init</c>.</summary>
    Container,

    /// <summary>The sidecar itself, before it gives up its rights: <c>native</c>.</summary>
    Sidecar,

    /// <summary>A CNI plugin; an init container, <c>mesh-validate</c>, proves it: <c>none</c>.</summary>
    Outside,
}

/// <summary>What may be set of one pod's sidecar. A null is not told to it: then its own default counts. Immutable.</summary>
internal sealed record SidecarSettings
{
    /// <summary>Null: the control plane's own version of it.</summary>
    public string? Image { get; init; }

    public string ImagePullPolicy { get; init; } = "IfNotPresent";

    public SidecarOrder Order { get; init; }

    public Redirection Redirection { get; init; }

    /// <summary>What writes the rules: <c>nft</c>, <c>iptables-nft</c> or <c>iptables-legacy</c>.</summary>
    public string RedirectionBackend { get; init; } = "nft";

    public int Uid { get; init; } = 2102;

    public int? Gid { get; init; }

    public int OutboundPort { get; init; } = 4140;

    public int InboundPort { get; init; } = 4143;

    public int AdminPort { get; init; } = 4191;

    public string SkipInboundPorts { get; init; } = string.Empty;

    public string SkipOutboundPorts { get; init; } = string.Empty;

    public string SkipSubnets { get; init; } = string.Empty;

    /// <summary>Null: the sidecar's default list; empty: none.</summary>
    public string? OpaquePorts { get; init; }

    /// <summary>Ports of containers that the injector does not see.</summary>
    public string InboundPorts { get; init; } = string.Empty;

    public string? LogLevel { get; init; }

    public string? LogFormat { get; init; }

    public string? AccessLog { get; init; }

    /// <summary>Whether spans are recorded at all.</summary>
    public bool? Traces { get; init; }

    /// <summary>Of calls that begin there, how many are traced: a share, 0–1.</summary>
    public string? TraceRatio { get; init; }

    public string? Egress { get; init; }

    public string? DefaultInbound { get; init; }

    public string? DrainTimeout { get; init; }

    /// <summary>In classic order: apps start when the sidecar is ready.</summary>
    public bool Await { get; init; } = true;

    /// <summary>In classic order: how long the sidecar goes on as if nothing were when the pod is to end.</summary>
    public TimeSpan WaitBeforeExit { get; init; }

    public string? CpuRequest { get; init; } = "10m";

    public string? CpuLimit { get; init; }

    public string? MemoryRequest { get; init; } = "32Mi";

    public string? MemoryLimit { get; init; } = "256Mi";

    public string? EphemeralStorageRequest { get; init; }

    public string? EphemeralStorageLimit { get; init; }

    /// <summary>By name, as in a container's <c>env</c>.</summary>
    public ImmutableSortedDictionary<string, JsonObject> AdditionalEnvironment { get; init; } = ImmutableSortedDictionary.Create<string, JsonObject>(StringComparer.Ordinal);
}
