using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Sources.Manifests.Policies;

/// <summary>Authorization that is not in force as it was meant: what a person must be told.</summary>
internal static class UnheldPolicies
{
    public static HashSet<(string Policy, string Where, string What)> Find(MeshModel model) =>
    [
        .. model.Policies.Where(p => PolicyKinds.Find(p.Kind) is { Closes: true }).SelectMany(p => p is { Values.IsEmpty: true, Attachments.IsEmpty: true }
            ? [(p.ToString(), p.Where, "nothing is protected by it, because what it is about can't be read")]
            : p.Attachments.Where(a => a.Closes).Select(a => (p.ToString(), p.Where, $"{a.Target} is closed but for probes"))),
    ];
}
