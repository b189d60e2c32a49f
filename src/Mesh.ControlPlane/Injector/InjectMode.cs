using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Manifests;

namespace Mesh.ControlPlane.Injector;

/// <summary>What <c>meshlib.io/inject</c> asks for.</summary>
internal enum InjectMode
{
    Disabled,

    /// <summary><c>enabled</c>: a sidecar.</summary>
    Sidecar,

    /// <summary><c>library</c>: what a program needs that is in the mesh by itself.</summary>
    Library,
}

/// <summary>Finds out what is asked for of a pod.</summary>
internal static class InjectModes
{
    public static readonly string[] Words = ["enabled", "disabled", "library"];

    public static InjectMode? Of(string word) => word.Trim() switch
    {
        "enabled" => InjectMode.Sidecar,
        "library" => InjectMode.Library,
        "disabled" => InjectMode.Disabled,
        _ => null,
    };

    /// <summary>The nearest annotation counts. One that is none of the words changes nothing: it takes no pod out of the mesh, and into it neither.</summary>
    /// <param name="skip">Why nothing is asked for.</param>
    public static InjectMode Find(IReadOnlyDictionary<string, string> pod, NamespaceMeta ns, List<string> warnings, out Skip? skip)
    {
        skip = null;
        var (atPod, atNamespace) = (pod.GetValueOrDefault(Annotations.Inject), ns.Annotations.GetValueOrDefault(Annotations.Inject));
        string? invalid = null;
        foreach (var (word, reason, where) in new[] { (atPod, SkipReasons.InvalidAtWorkload, "the pod"), (atNamespace, SkipReasons.InvalidAtNamespace, $"namespace {ns.Name}") })
        {
            if (word is null)
            {
                continue;
            }

            if (Of(word) is { } mode)
            {
                skip = mode != InjectMode.Disabled ? null
                    : invalid is null ? new Skip(SkipReasons.Disabled, $"{Annotations.Inject} is disabled at {where}.", Expected: true)
                    : new Skip(invalid, $"{warnings[^1]} It is disabled at {where}.");
                return mode;
            }

            warnings.Add($"{Annotations.Inject} is '{Shown.Short(word)}' at {where}, which means nothing.{Suggestion.For(word.Trim(), Words)} Use {string.Join(", ", Words)}.");
            invalid ??= reason;
        }

        skip = invalid is null
            ? new Skip(SkipReasons.Absent, $"Neither the pod nor namespace {ns.Name} has {Annotations.Inject}: enabled.", Expected: true)
            : new Skip(invalid, warnings[^1]);
        return InjectMode.Disabled;
    }
}
