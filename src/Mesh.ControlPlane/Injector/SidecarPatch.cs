namespace Mesh.ControlPlane.Injector;

/// <summary>Puts the sidecar's containers into a pod, each where it belongs.</summary>
internal static class SidecarPatch
{
    /// <summary>Which container <c>kubectl logs</c> and <c>exec</c> mean when none is named.</summary>
    private const string DefaultContainer = "kubectl.kubernetes.io/default-container";

    public static void Make(JsonPatch patch, PodShape pod, SidecarSettings settings, SidecarContainers containers)
    {
        var spec = patch.Document.Object("spec")!;
        if (!spec.Objects("volumes").Any(v => v.Text("name") == InjectedNames.Volume))
        {
            patch.Insert(spec, "/spec", "volumes", IdentityVolume.Volume());
        }

        var before = settings.Redirection switch
        {
            Redirection.Container => containers.Init(),
            Redirection.Outside => containers.Validate(),
            _ => null,
        };
        if (settings.Order == SidecarOrder.Native)
        {
            // Rules, then the sidecar, then the pod's own init containers: these have the mesh too.
            var at = 0;
            if (before is not null)
            {
                patch.Insert(spec, "/spec", "initContainers", before, at++);
            }

            patch.Insert(spec, "/spec", "initContainers", containers.Proxy(), at);
            return;
        }

        // The pod's own init containers run before there is a sidecar: rules come after them. Those of a CNI plugin are there from the start.
        patch.Insert(spec, "/spec", "initContainers", before!, settings.Redirection == Redirection.Outside ? 0 : null);
        patch.Insert(spec, "/spec", "containers", containers.Proxy(), 0);
        if (!pod.Annotations.ContainsKey(DefaultContainer) && pod.Spec.Objects("containers").FirstOrDefault().Text("name") is { } first)
        {
            patch.Set(first, "metadata", "annotations", DefaultContainer);
        }
    }
}
