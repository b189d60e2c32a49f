using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Mesh.ControlPlane.Api;
using Mesh.ControlPlane.Install;
using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.Cli.Cluster;

/// <summary>The way to the control plane's HTTP API through the API server: no port has to be opened, and Kubernetes says who may.</summary>
/// <param name="token">Of the control plane's API; null: it is read from its Secret, which a cluster's administrator may.</param>
internal sealed class ServiceProxy(KubeApi cluster, string? token) : HttpMessageHandler
{
    public const string Secret = "mesh-admin-token";
    private const string Path = $"/api/v1/namespaces/{InstallManifest.Namespace}/services/http:{InstallManifest.Name}:15014/proxy";
    private string? _token = token;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.RequestUri = new Uri(cluster.Server, Path + request.RequestUri!.PathAndQuery);
        // The API server takes Authorization as its own, and passes it on to nobody.
        request.Headers.Authorization = null;
        // All but the probes wants it: behind the proxy the control plane is asked by a name that it does not know.
        if (!request.RequestUri.AbsolutePath.EndsWith("/proxy/livez", StringComparison.Ordinal) && !request.RequestUri.AbsolutePath.EndsWith("/proxy/readyz", StringComparison.Ordinal))
        {
            request.Headers.TryAddWithoutValidation(ApiEndpoints.TokenHeader, _token ??= await ReadTokenAsync(cancellationToken));
        }

        try
        {
            var streams = request.Headers.Accept.Any(a => a.MediaType == ControlPlaneApi.EventStream);
            var response = await cluster.ForwardAsync(request, cancellationToken, streams);
            return response.IsSuccessStatusCode ? response : await ThrowIfClustersAsync(response, cancellationToken);
        }
        catch (KubeApiException e)
        {
            throw ClusterErrors.Of(e);
        }
    }

    private async Task<string> ReadTokenAsync(CancellationToken cancellationToken)
    {
        JsonObject? secret;
        try
        {
            secret = await cluster.GetAsync($"/api/v1/namespaces/{InstallManifest.Namespace}/secrets/{Secret}", cancellationToken);
        }
        catch (KubeApiException e) when (e.Status is HttpStatusCode.Forbidden or HttpStatusCode.Unauthorized)
        {
            throw new CliException(ExitCodes.NotPermitted, "the control plane's token can't be read", e.Message,
                $"ask for the right to get the Secret {Secret} in {InstallManifest.Namespace}, or give --token or MESH_TOKEN", e);
        }
        catch (KubeApiException e)
        {
            throw ClusterErrors.Of(e);
        }

        return secret?["data"]?["token"]?.GetValue<string>() is { } data ? Encoding.UTF8.GetString(Convert.FromBase64String(data)).Trim()
            : throw new CliException(ExitCodes.Unreachable, "the cluster has no control plane that has started",
                $"there is no Secret {Secret} in {InstallManifest.Namespace}, which it makes", "mesh check; without a control plane: mesh install | kubectl apply -f -");
    }

    /// <summary>Errors of the API server, as told from those of the control plane behind it.</summary>
    private static async Task<HttpResponseMessage> ThrowIfClustersAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStringAsync(cancellationToken);
        try
        {
            if (JsonNode.Parse(body) is JsonObject status && status["kind"]?.ToString() == "Status")
            {
                using (response)
                {
                    throw ClusterErrors.Of(KubeApiException.Of(response.StatusCode, body, response.Headers.RetryAfter?.Delta));
                }
            }
        }
        catch (JsonException)
        {
            // The control plane's own words.
        }

        return response;
    }
}
