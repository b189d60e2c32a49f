using System.Collections.Immutable;

namespace Mesh.ControlPlane.Install;

/// <summary>What holds for every injected sidecar, where no annotation says otherwise: each is an annotation's name without <c>proxy-</c>, in camel case.</summary>
internal static class ProxyValues
{
    private const string Folder = "proxy.";

    public static ImmutableArray<InstallValue> All { get; } =
    [
        Text("image", "The sidecar's image, whole; without it `registry`/mesh-proxy:`version`"),
        InstallCatalogue.Words(Folder + "imagePullPolicy", "IfNotPresent", "When its image is pulled", "Always", "IfNotPresent", "Never"),
        InstallCatalogue.Quantity(Folder + "cpuRequest", "10m", "CPU that is kept free for a sidecar"),
        InstallCatalogue.Quantity(Folder + "cpuLimit", "", "CPU that it never exceeds"),
        InstallCatalogue.Quantity(Folder + "memoryRequest", "32Mi", "Memory that is kept free for it"),
        InstallCatalogue.Quantity(Folder + "memoryLimit", "256Mi", "Memory at which it is ended"),
        InstallCatalogue.Quantity(Folder + "ephemeralStorageRequest", "", "Disk that is kept free for it"),
        InstallCatalogue.Quantity(Folder + "ephemeralStorageLimit", "", "Disk at which it is ended"),
        Text("logLevel", "What it logs"),
        InstallCatalogue.Words(Folder + "logFormat", "plain", "How it logs", "plain", "json"),
        InstallCatalogue.Words(Folder + "accessLog", "off", "A line per request", "off", "json", "apache"),
        InstallCatalogue.Words(Folder + "traces", "enabled", "Spans of calls and requests, for the control plane", "enabled", "disabled"),
        Text("traceRatio", "Of calls that nobody has decided about, how many are traced: 0.05 or 5%; without it none"),
        Text("opaquePorts", "Ports that are passed on as bytes, in place of the default list"),
        Text("skipInboundPorts", "Ports of the pod that bypass the sidecar"),
        Text("skipOutboundPorts", "Ports of others that bypass it"),
        Text("skipSubnets", "Addresses of others that bypass it, CIDRs"),
        Text("podInboundPorts", "Ports of containers that are added after injection"),
        InstallCatalogue.Words(Folder + "egress", "allow", "Calls to what is outside of the mesh", "allow", "deny"),
        InstallCatalogue.Words(Folder + "defaultInbound", "allow", "Who may call before the first configuration came", "allow", "allow-authenticated", "deny"),
        Text("shutdownGracePeriod", "How long calls under way may take when the pod ends"),
        InstallCatalogue.Words(Folder + "nativeSidecar", "enabled", "An init container that stays (Kubernetes 1.29), or the first container", "enabled", "disabled"),
        InstallCatalogue.Words(Folder + "init", "container", "Who redirects: an init container, the sidecar itself, or a CNI plugin", "container", "native", "none"),
        InstallCatalogue.Words(Folder + "initBackend", "nft", "What writes the rules", "nft", "iptables-nft", "iptables-legacy"),
        InstallCatalogue.Words(Folder + "await", "enabled", "Without native sidecars: apps start when the sidecar is ready", "enabled", "disabled"),
        Text("waitBeforeExit", "Without native sidecars: how long the sidecar goes on when the pod is to end"),
        InstallCatalogue.Number(Folder + "uid", 2102, 1, int.MaxValue, "User that the sidecar runs as"),
        InstallCatalogue.Number(Folder + "gid", 2102, 1, int.MaxValue, "Its group"),
        InstallCatalogue.Number(Folder + "outboundPort", 4140, 1, 65535, "Where it takes the pod's calls"),
        InstallCatalogue.Number(Folder + "inboundPort", 4143, 1, 65535, "Where it takes calls to the pod"),
        InstallCatalogue.Number(Folder + "adminPort", 4191, 1, 65535, "Its metrics and probes"),
        new(Folder + "additionalEnv", InstallValueType.Objects, null, "More of its environment, as in a container"),
    ];

    /// <summary>Empty: as the sidecar has it by itself.</summary>
    private static InstallValue Text(string name, string description) => new(Folder + name, InstallValueType.Text, null, description);
}
