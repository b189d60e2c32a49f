namespace Mesh.ControlPlane.Injector;

/// <summary>Why a pod was left as it is.</summary>
/// <param name="Reason">One of <see cref="SkipReasons"/>.</param>
/// <param name="Message">Why, and what to do about it.</param>
/// <param name="Expected">It is as its owner wants it: nobody needs to be told.</param>
internal sealed record Skip(string Reason, string Message, bool Expected = false);

/// <summary>The words for it; where Linkerd has one, it is Linkerd's.</summary>
internal static class SkipReasons
{
    public const string Absent = "injection_enable_annotation_absent";
    public const string Disabled = "injection_disable_annotation_present";
    public const string InvalidAtWorkload = "invalid_inject_annotation_at_workload";
    public const string InvalidAtNamespace = "invalid_inject_annotation_at_ns";
    public const string HostNetwork = "host_network_enabled";
    public const string SidecarExists = "sidecar_already_exists";
    public const string AlreadyInjected = "already_injected";
    public const string NameTaken = "name_taken";
    public const string Unsupported = "unsupported_resource";
    public const string NamespaceExcluded = "namespace_excluded";
    public const string Windows = "windows_node";
    public const string MirrorPod = "mirror_pod";
}
