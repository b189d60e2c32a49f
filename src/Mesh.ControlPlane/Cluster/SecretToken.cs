using System.Text;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>The API's token of a cluster: made once by whichever replica is first, and the same for all.</summary>
internal static class SecretToken
{
    private const string Key = "token";

    /// <exception cref="InvalidDataException">The Secret is there and holds none.</exception>
    public static async Task<AdminToken> FindAsync(KubeApi api, string ns, CancellationToken cancellationToken)
    {
        var path = $"{ClusterNames.Secrets(ns)}/{ClusterNames.AdminTokenSecret}";
        var secret = await api.GetAsync(path, cancellationToken);
        if (secret is null)
        {
            try
            {
                var made = new Dictionary<string, byte[]> { [Key] = Encoding.UTF8.GetBytes(AdminToken.New()) };
                secret = await api.CreateAsync(ClusterNames.Secrets(ns), SecretContent.New(ns, ClusterNames.AdminTokenSecret, "Opaque", made), cancellationToken);
            }
            catch (KubeApiException e) when (e.IsConflict)
            {
                secret = await api.GetAsync(path, cancellationToken);
            }
        }

        var origin = $"Secret {ns}/{ClusterNames.AdminTokenSecret}";
        return secret is not null && SecretContent.Read(secret, origin).TryGetValue(Key, out var bytes) && Encoding.UTF8.GetString(bytes).Trim() is { Length: >= 32 } token
            ? new AdminToken(token)
            : throw new InvalidDataException($"{origin} holds no '{Key}' of at least 32 characters. Delete it, and a new one is made.");
    }
}
