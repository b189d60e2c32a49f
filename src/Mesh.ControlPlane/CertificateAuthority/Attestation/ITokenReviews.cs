using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Mesh.ControlPlane.CertificateAuthority.Attestation;

/// <summary>Has tokens reviewed by a Kubernetes API server.</summary>
internal interface ITokenReviews : IDisposable
{
    /// <summary>Where that is, for the log.</summary>
    Uri Server { get; }

    /// <param name="review">A TokenReview (authentication.k8s.io/v1).</param>
    /// <exception cref="InvalidDataException">The server refused to review.</exception>
    /// <exception cref="HttpRequestException">It can't be reached.</exception>
    Task<JsonDocument> ReviewAsync(JsonObject review, CancellationToken cancellationToken);
}

/// <summary>By requests of our own, to a server that the operator named.</summary>
/// <param name="tokenFile">The control plane's own token, read at every call, as Kubernetes replaces it; null: none is sent.</param>
internal sealed class HttpTokenReviews(Uri server, string? tokenFile, HttpClient http) : ITokenReviews
{
    /// <inheritdoc/>
    public Uri Server { get; } = new(server, "/apis/authentication.k8s.io/v1/tokenreviews");

    /// <inheritdoc/>
    public async Task<JsonDocument> ReviewAsync(JsonObject review, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, Server) { Content = new StringContent(review.ToJsonString(), Encoding.UTF8, "application/json") };
        if (tokenFile is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Pems.ReadText(tokenFile).Trim());
        }

        using var response = await http.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new InvalidDataException($"it answered {(int)response.StatusCode}.{Hint(response.StatusCode)}");
        }

        return JsonDocument.Parse(await response.Content.ReadAsByteArrayAsync(cancellationToken));
    }

    public void Dispose() => http.Dispose();

    /// <summary>What to do about a refusal.</summary>
    public static string Hint(HttpStatusCode status) => status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden
        ? " The control plane's service account needs the verb 'create' on 'tokenreviews' (ClusterRole system:auth-delegator)."
        : string.Empty;
}
