using System.Text.Json.Nodes;
using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Injector;

/// <summary>Takes out of a pod what <see cref="PodPatch"/> put into it. Pure.</summary>
internal static class PodUnpatch
{
    private const string DefaultContainer = "kubectl.kubernetes.io/default-container";

    /// <summary>There is something of ours in it, besides annotations.</summary>
    public static bool IsPatched(JsonObject pod) => pod.Object("metadata").Texts("annotations").ContainsKey(Annotations.Injected)
        || pod.Object("spec").Objects("volumes").Any(v => v.Text("name") == InjectedNames.Volume)
        || new PodShape(pod).Everything.Any(c => InjectedNames.Containers.Contains(c.Container.Text("name")));

    /// <param name="keepSettings">What users wrote stays.</param>
    public static JsonObject Of(JsonObject patched, bool keepSettings = false)
    {
        var pod = (JsonObject)patched.DeepClone();
        if (pod.Object("spec") is { } spec)
        {
            var own = OwnVariables.Of(pod);
            var library = !new PodShape(pod).Everything.Any(c => c.Container.Text("name") == InjectedNames.Proxy);
            var classic = spec.Objects("containers").Any(c => c.Text("name") == InjectedNames.Proxy);
            foreach (var list in new[] { "initContainers", "containers" })
            {
                Remove(spec, list, c => InjectedNames.Containers.Contains(c.Text("name")));
                foreach (var container in spec.Objects(list))
                {
                    // Where its owner mounted something of its own there, variables were written all the same; beside a sidecar none were.
                    if (container.Objects("volumeMounts").Any(m => m.Text("name") == InjectedNames.Volume || (library && LibraryPatch.IsOurPlace(m))))
                    {
                        Remove(container, "volumeMounts", m => m.Text("name") == InjectedNames.Volume);
                        Remove(container, "env", e => e.Text("name") is { } name && LibraryPatch.Names.Contains(name) && !own.Has(container, name));
                    }
                }
            }

            Remove(spec, "volumes", v => v.Text("name") == InjectedNames.Volume);
            if (classic && pod.Object("metadata").Texts("annotations").GetValueOrDefault(DefaultContainer) == spec.Objects("containers").FirstOrDefault().Text("name"))
            {
                RemoveKeys(pod, "annotations", k => k == DefaultContainer);
            }
        }

        RemoveKeys(pod, "annotations", k => keepSettings ? IsMark(k) : IsOurs(k));
        RemoveKeys(pod, "labels", k => k == Annotations.ControlPlaneNamespace);
        return pod;
    }

    /// <summary>An annotation that says how a pod is injected, or that it was.</summary>
    public static bool IsOurs(string annotation) => annotation == Annotations.Inject || IsMark(annotation)
        || Annotations.SidecarSettings.Any(s => annotation == $"{Annotations.Domain}/{s}");

    private static bool IsMark(string annotation) => annotation is Annotations.Injected or Annotations.OwnVariables;

    private static void Remove(JsonObject from, string list, Func<JsonObject, bool> which)
    {
        if (from.Array(list) is not { } items || !items.OfType<JsonObject>().Any(which))
        {
            return;
        }

        foreach (var item in items.OfType<JsonObject>().Where(which).ToList())
        {
            items.Remove(item);
        }

        if (items.Count == 0)
        {
            from.Remove(list);
        }
    }

    private static void RemoveKeys(JsonObject pod, string map, Func<string, bool> which)
    {
        if (pod.Object("metadata").Object(map) is not { } keys || !keys.Any(k => which(k.Key)))
        {
            return;
        }

        foreach (var key in keys.Select(k => k.Key).Where(which).ToList())
        {
            keys.Remove(key);
        }

        if (keys.Count == 0)
        {
            pod.Object("metadata")!.Remove(map);
        }

        // A pod template may have had none.
        if (pod.Object("metadata") is { Count: 0 })
        {
            pod.Remove("metadata");
        }
    }
}
