using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>Says what of a pod will not be as its owner may think.</summary>
internal static class PodWarnings
{
    public static void Sidecar(PodShape pod, SidecarSettings settings, Workload workload, List<string> warnings)
    {
        foreach (var (number, protocol) in pod.OtherPorts)
        {
            warnings.Add($"Port {number} is {protocol}: the mesh carries TCP alone, so it passes untouched and unencrypted, and no policy holds there.");
        }

        if (settings.Order == SidecarOrder.Classic && workload.Ends)
        {
            warnings.Add($"In classic order the sidecar outlives a {workload.Kind}'s containers, which then never completes: use {Annotations.Domain}/native-sidecar: enabled, or start the program by 'mesh-proxy await --shutdown --'.");
        }

        if (settings.Order == SidecarOrder.Native && settings.WaitBeforeExit > TimeSpan.Zero)
        {
            warnings.Add($"{Annotations.Domain}/wait-before-exit has no effect: a native sidecar ends after the containers.");
        }

        if (settings.Redirection == Redirection.Sidecar && settings.Order == SidecarOrder.Classic)
        {
            warnings.Add($"{Annotations.Domain}/init: native needs a native sidecar; an init container writes the rules.");
        }

        if (pod.HasTcpProbe)
        {
            warnings.Add("A tcpSocket probe of a port in the mesh reaches the sidecar, which takes the connection: it does not show that the app does. Use httpGet, grpc or exec.");
        }

        foreach (var port in pod.TcpPorts.Where(p => p == settings.InboundPort || p == settings.OutboundPort || p == settings.AdminPort))
        {
            warnings.Add($"Container port {port} is one of the sidecar's own. Give the sidecar another by {Annotations.Domain}/inbound-port, outbound-port or admin-port.");
        }

        if (pod.Spec.Text("dnsPolicy") is "Default" or "None")
        {
            warnings.Add($"dnsPolicy is {pod.Spec.Text("dnsPolicy")}: the sidecar asks the cluster's DNS for the control plane, and can't join without.");
        }

        if (pod.IsGuaranteed && (settings.CpuLimit is null || settings.MemoryLimit is null || settings.CpuLimit != settings.CpuRequest || settings.MemoryLimit != settings.MemoryRequest))
        {
            warnings.Add($"The pod's quality of service was Guaranteed and is Burstable with the sidecar. Give its cpu and memory limits equal to the requests by {Annotations.Domain}/proxy-cpu-limit and so on.");
        }
    }

    public static void Library(PodShape pod, List<string> warnings)
    {
        var unused = SidecarSetting.All.Where(s => !s.IsForLibrary && pod.Annotations.ContainsKey(s.Annotation)).Select(s => s.Name).ToList();
        if (unused.Count > 0)
        {
            warnings.Add($"{Annotations.Inject} is library, so nothing comes of what is set for a sidecar: {string.Join(", ", unused)}.");
        }
    }
}
