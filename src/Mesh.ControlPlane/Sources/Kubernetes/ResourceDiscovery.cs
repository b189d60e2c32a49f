using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.Sources.Kubernetes;

/// <summary>Finds out under which of the versions that we know a kind is served.</summary>
internal static class ResourceDiscovery
{
    /// <returns>Null: the cluster does not have it, or not in a version that we know.</returns>
    /// <exception cref="KubeApiException">The server refused, or can't be reached.</exception>
    public static async Task<KubeResource?> FindAsync(KubeApi api, WatchedKind kind, CancellationToken cancellationToken)
    {
        if (kind.Plural is { } plural)
        {
            return new KubeResource(KubeResource.RootOf(kind.ApiVersions[0]), plural);
        }

        foreach (var version in kind.ApiVersions)
        {
            var root = KubeResource.RootOf(version);
            if (await api.GetAsync(root, cancellationToken) is { } found && PluralOf(found, kind.Kind) is { } name)
            {
                return new KubeResource(root, name);
            }
        }

        return null;
    }

    /// <summary>Of an APIResourceList (meta/v1); subresources have a slash.</summary>
    private static string? PluralOf(JsonObject list, string kind) => (list["resources"] as JsonArray ?? [])
        .OfType<JsonObject>().Where(r => (string?)r["kind"] == kind).Select(r => (string?)r["name"]).FirstOrDefault(n => n?.Contains('/', StringComparison.Ordinal) == false);
}
