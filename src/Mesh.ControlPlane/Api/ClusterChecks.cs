using Mesh.ControlPlane.Sources;

namespace Mesh.ControlPlane.Api;

/// <summary>Whether what the control plane knows of the cluster is whole and new.</summary>
internal static class ClusterChecks
{
    private const string Category = "kubernetes";

    /// <summary>Servers say something about every minute; after three a watch is taken for dead and asked for again.</summary>
    public static readonly TimeSpan Old = TimeSpan.FromMinutes(5);

    public static IEnumerable<Check> Run(IReadOnlyList<KindState> kinds, DateTimeOffset now)
    {
        const string Description = "changes of the cluster are heard";
        var found = false;
        foreach (var kind in kinds)
        {
            var age = now - kind.Heard;
            var told = kind.Heard is null ? "nothing was ever heard" : $"last heard {age!.Value.TotalSeconds:0} s ago";
            if (!kind.Synced)
            {
                found = true;
                yield return Check.Error("kubernetes-sync", Category, Description, $"{kind.Kind}: {kind.Trouble ?? told}", "Let the control plane's service account get, list and watch it in all namespaces, and see that the API server answers.");
            }
            else if (kind.Exists && age > Old)
            {
                found = true;
                yield return Check.Warning("kubernetes-watch", Category, Description, $"{kind.Kind}: {told}{(kind.Trouble is null ? string.Empty : $" ({kind.Trouble})")}", "What was known then stays in force. See that the API server answers.");
            }
        }

        if (!found)
        {
            yield return Check.Ok("kubernetes-watch", Category, Description,
                $"{kinds.Where(k => k.Exists).Sum(k => k.Objects)} objects; not installed: {(kinds.Any(k => !k.Exists) ? string.Join(", ", kinds.Where(k => !k.Exists).Select(k => k.Kind)) : "none")}");
        }
    }
}
