using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Injector;

/// <summary>Reads what holds for one pod's sidecar: the installation's values, over them the namespace's annotations, over them the pod's.</summary>
/// <remarks>What can't be read takes nothing out of the mesh: then what stands farther away counts, or, where the annotation exists to close something, it is closed.</remarks>
internal static class SettingsReader
{
    private const string Prefix = Annotations.Domain + "/";

    public static SidecarSettings Read(SidecarSettings values, NamespaceMeta ns, IReadOnlyDictionary<string, string> pod, List<string> warnings)
    {
        var settings = Read(values, ns.Annotations, $"namespace {ns.Name}", warnings);
        settings = Read(settings, pod, "the pod", warnings);
        return settings with
        {
            CpuRequest = AtMost("cpu", settings.CpuRequest, settings.CpuLimit, warnings),
            MemoryRequest = AtMost("memory", settings.MemoryRequest, settings.MemoryLimit, warnings),
            EphemeralStorageRequest = AtMost("ephemeral-storage", settings.EphemeralStorageRequest, settings.EphemeralStorageLimit, warnings),
        };
    }

    /// <summary>What of it holds for a program that is in the mesh by itself. Values are for sidecars: an installation that traces these tells a program nothing.</summary>
    public static SidecarSettings ReadLibrary(NamespaceMeta ns, IReadOnlyDictionary<string, string> pod, List<string> warnings) =>
        Read(Read(new SidecarSettings(), ns.Annotations, $"namespace {ns.Name}", warnings, forLibrary: true), pod, "the pod", warnings, forLibrary: true);

    /// <summary>Annotations of ours that mean nothing to a pod.</summary>
    public static void Spelling(IReadOnlyDictionary<string, string> annotations, string where, List<string> warnings)
    {
        foreach (var name in annotations.Keys.Where(k => k.StartsWith(Prefix, StringComparison.Ordinal) && !Annotations.All.Contains(k)).Order(StringComparer.Ordinal))
        {
            warnings.Add($"{Shown.Short(name)} at {where} is no annotation of this version and has no effect.{Nearest(name)}");
        }
    }

    private static string Nearest(string name)
    {
        if (Suggestion.For(name, Annotations.All) is { Length: > 0 } near)
        {
            return near;
        }

        // proxy-log-level without its proxy, and the like.
        var word = name[Prefix.Length..];
        return word.Length > 3 && Annotations.SidecarSettings.FirstOrDefault(s => s.EndsWith("-" + word, StringComparison.Ordinal) || word.EndsWith("-" + s, StringComparison.Ordinal)) is { } meant
            ? $" Did you mean '{Prefix}{meant}'?"
            : string.Empty;
    }

    private static SidecarSettings Read(SidecarSettings settings, IReadOnlyDictionary<string, string> annotations, string where, List<string> warnings, bool forLibrary = false)
    {
        // In the order of the list: what is said twice is said the same way each time.
        foreach (var setting in SidecarSetting.All.Where(s => !forLibrary || s.IsForLibrary))
        {
            if (!annotations.TryGetValue(setting.Annotation, out var text))
            {
                continue;
            }

            var before = settings;
            settings = setting.Apply(settings, text, out var problem);
            if (problem is not null)
            {
                warnings.Add($"{setting.Annotation} is '{Shown.Short(text)}' at {where} and is {(settings == before ? "left out" : "taken for deny")}. {problem}");
            }
        }

        return settings;
    }

    /// <summary>The API server takes no pod that asks for more than it may have.</summary>
    private static string? AtMost(string what, string? request, string? limit, List<string> warnings)
    {
        if (request is null || limit is null || !Quantity.TryParse(request, out var asked) || !Quantity.TryParse(limit, out var most) || asked <= most)
        {
            return request;
        }

        warnings.Add($"The sidecar's {what} request {request} is above its limit {limit}: it is lowered to that.");
        return limit;
    }
}
