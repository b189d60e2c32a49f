using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>What puts a pod into the mesh, or why it is left as it is.</summary>
/// <param name="Patch">A JSON patch (RFC 6902); empty when the pod is left as it is.</param>
/// <param name="Pod">The pod with the patch applied.</param>
/// <param name="Warnings">What is not as somebody may think, a line each.</param>
internal sealed record PodInjection(JsonArray Patch, JsonObject Pod, InjectMode Mode, Skip? Skip, IReadOnlyList<string> Warnings);

/// <summary>Decides what becomes of a pod when it is created. Pure: the same pod, namespace and values give the same patch, and a patched pod is left as it is.</summary>
internal static class PodPatch
{
    private static readonly string[] SidecarsOfOthers = ["linkerd-proxy", "istio-proxy"];

    /// <param name="pod">As it is created; may lack all that the API server fills in.</param>
    /// <param name="workload">What it belongs to, where that is known; null: found out from the pod.</param>
    public static PodInjection Of(JsonObject pod, NamespaceMeta ns, InjectionValues values, Workload? workload = null)
    {
        var warnings = new List<string>();
        var shape = new PodShape(pod);
        var mode = InjectModes.Find(shape.Annotations, ns, warnings, out var skip);
        skip = Excluded(ns, values, mode) ?? skip ?? (mode == InjectMode.Disabled ? null : Unfit(shape, mode));
        if (skip is not null)
        {
            return new PodInjection([], pod, InjectMode.Disabled, skip, [.. warnings.Select(Shown.Warning)]);
        }

        SettingsReader.Spelling(ns.Annotations, $"namespace {ns.Name}", warnings);
        SettingsReader.Spelling(shape.Annotations, "the pod", warnings);
        workload ??= Workload.Of(pod);
        var patch = new JsonPatch(pod);
        if (mode == InjectMode.Library)
        {
            PodWarnings.Library(shape, warnings);
            LibraryPatch.Make(patch, shape, values, SettingsReader.ReadLibrary(ns, shape.Annotations, warnings), workload, warnings);
        }
        else
        {
            var settings = SettingsReader.Read(values.Sidecar, ns, shape.Annotations, warnings);
            settings = settings with { Uid = OwnUser(settings.Uid, shape, warnings) };
            PodWarnings.Sidecar(shape, settings, workload, warnings);
            settings = settings.Redirection == Redirection.Sidecar && settings.Order == SidecarOrder.Classic ? settings with { Redirection = Redirection.Container } : settings;
            SidecarPatch.Make(patch, shape, settings, new SidecarContainers(values, settings, shape, workload));
        }

        Mark(patch, values);
        return new PodInjection(patch.Operations, patch.Document, mode, null, [.. warnings.Distinct().Select(Shown.Warning)]);
    }

    /// <summary>It says so only where somebody asked.</summary>
    private static Skip? Excluded(NamespaceMeta ns, InjectionValues values, InjectMode mode)
    {
        var why = InjectionValues.AlwaysExcluded.Contains(ns.Name) ? "the cluster itself lives there"
            : ns.Name == values.ControlPlaneNamespace ? "the control plane lives there"
            : values.ExcludedNamespaces.Contains(ns.Name) ? "the installation excludes it"
            : ns.Labels.GetValueOrDefault(Annotations.AdmissionWebhooks) == "disabled" ? $"it is labelled {Annotations.AdmissionWebhooks}: disabled"
            : null;
        return why is null ? null : new Skip(SkipReasons.NamespaceExcluded, $"Nothing is injected in namespace {ns.Name}: {why}.", Expected: mode == InjectMode.Disabled);
    }

    private static Skip? Unfit(PodShape pod, InjectMode mode)
    {
        if (pod.Spec.Array("containers") is not { Count: > 0 })
        {
            return new Skip(SkipReasons.Unsupported, "The object has no spec.containers: it is no pod.");
        }

        if (pod.Annotations.ContainsKey("kubernetes.io/config.mirror"))
        {
            return new Skip(SkipReasons.MirrorPod, "The pod is static: its node runs it from a file, which nobody can change here. Write the sidecar into that file.");
        }

        var names = pod.Everything.Select(c => c.Container.Text("name")).ToHashSet(StringComparer.Ordinal);
        if (names.Contains(InjectedNames.Proxy))
        {
            return new Skip(SkipReasons.AlreadyInjected, $"The pod has a container {InjectedNames.Proxy} already.", Expected: true);
        }

        if (SidecarsOfOthers.FirstOrDefault(names.Contains) is { } other)
        {
            return new Skip(SkipReasons.SidecarExists, $"The pod has the sidecar {other} of another mesh. Two meshes can't both carry its connections: turn one off.");
        }

        if (InjectedNames.Containers.FirstOrDefault(names.Contains) is { } taken)
        {
            return new Skip(SkipReasons.NameTaken, $"The pod has a container {taken} that is not the mesh's, which needs the name. Rename it.");
        }

        if (pod.Spec.Objects("volumes").FirstOrDefault(v => v.Text("name") == InjectedNames.Volume) is { } volume && !IsOurs(volume))
        {
            return new Skip(SkipReasons.NameTaken, $"The pod has a volume {InjectedNames.Volume} that is not the mesh's, which needs the name. Rename it.");
        }

        // A program that is in the mesh by itself needs no redirection.
        return mode == InjectMode.Library ? null
            : pod.HostNetwork ? new Skip(SkipReasons.HostNetwork, "The pod has hostNetwork: its connections are its node's, which can't be redirected. Use inject: library, or do without hostNetwork.")
            : pod.IsWindows ? new Skip(SkipReasons.Windows, "The pod is for Windows nodes, where connections can't be redirected. Use inject: library.")
            : null;
    }

    /// <summary>As the API server gives it back: with a mode that it filled in.</summary>
    private static bool IsOurs(JsonObject volume)
    {
        var bare = (JsonObject)volume.DeepClone();
        bare.Object("projected")?.Remove("defaultMode");
        return JsonNode.DeepEquals(bare, IdentityVolume.Volume());
    }

    /// <summary>Whoever runs as the proxy's user passes it by: then the proxy takes another.</summary>
    private static int OwnUser(int uid, PodShape pod, List<string> warnings)
    {
        var users = pod.Users.ToHashSet();
        var free = uid;
        while (users.Contains(free))
        {
            free = free == int.MaxValue ? 1 : free + 1;
        }

        if (free != uid)
        {
            warnings.Add($"A container runs as user {uid}, whose connections would pass the sidecar by: the sidecar runs as {free} here.");
        }

        return free;
    }

    private static void Mark(JsonPatch patch, InjectionValues values)
    {
        var meta = patch.Document.Object("metadata");
        if (meta.Texts("annotations").GetValueOrDefault(Annotations.Injected) != values.Version)
        {
            patch.Set(values.Version, "metadata", "annotations", Annotations.Injected);
        }

        if (meta.Texts("labels").GetValueOrDefault(Annotations.ControlPlaneNamespace) != values.ControlPlaneNamespace)
        {
            patch.Set(values.ControlPlaneNamespace, "metadata", "labels", Annotations.ControlPlaneNamespace);
        }
    }
}
