namespace Mesh.ControlPlane.Sources;

/// <summary>The annotations and labels of ours: what users write, and what we write.</summary>
internal static class Annotations
{
    /// <summary>The domain of everything that users write for us.</summary>
    public const string Domain = "meshlib.io";

    /// <summary>How we name ourselves in the status of routes and policies.</summary>
    public const string Controller = Domain + "/control-plane";

    /// <summary>On an EndpointSlice or a Service: the service account its endpoints run as, where no Pod says it (contracts §3).</summary>
    public const string ServiceAccount = Domain + "/service-account";

    /// <summary>
    /// On a Service, with its own ports, or on an EndpointSlice, with the slice's: which of them sidecars pass on as bytes. It replaces the default list.
    /// On a Namespace or a Pod: the same for the pod's sidecar, where the control plane says nothing of a port.
    /// </summary>
    public const string OpaquePorts = Domain + "/opaque-ports";

    /// <summary>On a Namespace, a workload's pod template or a Pod: <c>enabled</c>, <c>disabled</c> or <c>library</c>; the nearest counts.</summary>
    public const string Inject = Domain + "/inject";

    /// <summary>Written by the injector: the version of the mesh that a pod was given.</summary>
    public const string Injected = Domain + "/injected";

    /// <summary>Written by the injector where containers had variables of those names that it writes: <c>container/name</c>, with commas between. They are their owner's and stay when the rest goes.</summary>
    public const string OwnVariables = Domain + "/own-variables";

    /// <summary>Written on a Pod when it was seen to serve mesh TLS: <c>library</c> or <c>sidecar</c> (contracts §3).</summary>
    public const string Meshed = Domain + "/meshed";

    /// <summary>On a Namespace, a Service or a Pod: <c>true</c> keeps its requests from being watched live (docs/tap.md).</summary>
    public const string DisableTap = Domain + "/disable-tap";

    /// <summary>A label, written by the injector: where the control plane of a pod runs.</summary>
    public const string ControlPlaneNamespace = Domain + "/control-plane-namespace";

    /// <summary>A label on a Namespace: <c>disabled</c> keeps the injector away from it.</summary>
    public const string AdmissionWebhooks = Domain + "/admission-webhooks";

    /// <summary>What users may set of a pod's sidecar; each is <see cref="Domain"/>, a slash, and one of these.</summary>
    public static readonly IReadOnlyList<string> SidecarSettings =
    [
        "opaque-ports", "skip-inbound-ports", "skip-outbound-ports", "skip-subnets", "pod-inbound-ports",
        "proxy-image", "image-pull-policy", "proxy-uid", "proxy-gid",
        "proxy-cpu-request", "proxy-cpu-limit", "proxy-memory-request", "proxy-memory-limit", "proxy-ephemeral-storage-request", "proxy-ephemeral-storage-limit",
        "proxy-log-level", "proxy-log-format", "access-log", "traces", "trace-ratio", "egress", "default-inbound", "shutdown-grace-period",
        "native-sidecar", "init", "init-backend", "proxy-await", "wait-before-exit", "inbound-port", "outbound-port", "admin-port", "proxy-additional-env",
    ];

    /// <summary>On a FaultPolicy that the API made: who asked for it.</summary>
    public const string AskedBy = Domain + "/asked-by";

    /// <summary>All of ours, to find a misspelt one.</summary>
    public static readonly IReadOnlyList<string> All = [ServiceAccount, Inject, Injected, OwnVariables, Meshed, DisableTap, AskedBy, .. SidecarSettings.Select(s => $"{Domain}/{s}")];
}
