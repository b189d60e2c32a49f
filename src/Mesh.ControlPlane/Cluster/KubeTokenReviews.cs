using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.CertificateAuthority.Attestation;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Cluster;

/// <summary>Tokens reviewed by the API server of the cluster that we run in.</summary>
internal sealed class KubeTokenReviews(KubeApi api) : ITokenReviews
{
    public const string Path = "/apis/authentication.k8s.io/v1/tokenreviews";

    /// <inheritdoc/>
    public Uri Server => new(api.Server, Path);

    /// <inheritdoc/>
    public async Task<JsonDocument> ReviewAsync(JsonObject review, CancellationToken cancellationToken)
    {
        try
        {
            return JsonDocument.Parse((await api.CreateAsync(Path, review, cancellationToken)).ToJsonString());
        }
        catch (KubeApiException e)
        {
            throw new InvalidDataException($"{e.Message}{HttpTokenReviews.Hint(e.Status)}", e);
        }
    }

    public void Dispose()
    {
        // The API is its maker's.
    }
}
