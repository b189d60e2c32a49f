using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Gives the programs of a pod what they need to be in the mesh by themselves: token, trust bundle, and where the control plane is. Nothing else of the pod changes.</summary>
internal static class LibraryPatch
{
    /// <summary>The variables that it writes.</summary>
    public static readonly IReadOnlySet<string> Names = Environment(
            new InjectionValues { TrustDomain = string.Empty, ClusterDomain = string.Empty }, new SidecarSettings { Traces = true, TraceRatio = "1" }, new Workload("Pod", "any"))
        .Select(v => v.Text("name")!).ToHashSet(StringComparer.Ordinal);

    /// <param name="settings">Of which only what is said of traces is a program's own affair, too.</param>
    public static void Make(JsonPatch patch, PodShape pod, InjectionValues values, SidecarSettings settings, Workload workload, List<string> warnings)
    {
        var spec = patch.Document.Object("spec")!;
        if (!spec.Objects("volumes").Any(v => v.Text("name") == InjectedNames.Volume))
        {
            patch.Insert(spec, "/spec", "volumes", IdentityVolume.Volume());
        }

        var own = OwnVariables.Of(patch.Document);
        foreach (var (list, index, _) in pod.Apps)
        {
            var container = (JsonObject)spec.Array(list)![index]!;
            own.Add(container);
            var pointer = $"/spec/{list}/{index}";
            foreach (var variable in Environment(values, settings, workload))
            {
                // What its owner wrote stays.
                if (!container.Objects("env").Any(e => string.Equals(e.Text("name"), variable.Text("name"), StringComparison.OrdinalIgnoreCase)))
                {
                    patch.Insert(container, pointer, "env", variable);
                }
            }

            var there = container.Objects("volumeMounts").FirstOrDefault(IsOurPlace);
            if (there is null)
            {
                patch.Insert(container, pointer, "volumeMounts", IdentityVolume.Mount());
            }
            else if (there.Text("name") != InjectedNames.Volume)
            {
                warnings.Add($"Container {container.Text("name")} has something of its own at {InjectedNames.Folder}: it has to hold token and ca.crt.");
            }
        }

        own.Mark(patch);
    }

    /// <summary>Something is mounted where programs look for token and trust bundle, ours or not.</summary>
    public static bool IsOurPlace(JsonObject mount) => mount.Text("mountPath")?.TrimEnd('/') == InjectedNames.Folder;

    private static IEnumerable<JsonObject> Environment(InjectionValues values, SidecarSettings settings, Workload workload)
    {
        yield return SidecarContainers.Variable("Mesh__ControlPlane", values.ControlPlane);
        yield return SidecarContainers.Variable("Mesh__TrustBundle", InjectedNames.TrustBundle);
        yield return SidecarContainers.Variable("Mesh__TokenFile", InjectedNames.TokenFile);
        yield return SidecarContainers.PodField("Mesh__Namespace", "metadata.namespace");
        yield return SidecarContainers.PodField("Mesh__ServiceAccount", "spec.serviceAccountName");
        if (workload.Name.Length > 0)
        {
            yield return SidecarContainers.Variable("Mesh__Workload", workload.Name);
        }

        if (values.TrustDomain != "cluster.local")
        {
            yield return SidecarContainers.Variable("Mesh__TrustDomain", values.TrustDomain);
        }

        if (values.ClusterDomain != "cluster.local")
        {
            yield return SidecarContainers.Variable("Mesh__ClusterDomain", values.ClusterDomain);
        }

        if (settings.Traces is { } traces)
        {
            yield return SidecarContainers.Variable("Mesh__Traces__Enabled", traces ? "true" : "false");
        }

        if (settings.TraceRatio is { } ratio)
        {
            yield return SidecarContainers.Variable("Mesh__Traces__Ratio", ratio);
        }
    }
}
