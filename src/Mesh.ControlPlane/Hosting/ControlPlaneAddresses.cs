namespace Mesh.ControlPlane.Hosting;

/// <summary>Where a control plane that runs is reached.</summary>
/// <param name="Ads">Plaintext ADS, host and port; empty on Kubernetes, where there is none.</param>
/// <param name="Grpc">TLS gRPC, host and port.</param>
/// <param name="Http">API, a URL.</param>
/// <param name="TrustBundle">Path of the PEM file with its root.</param>
/// <param name="Token">Admin token of the API.</param>
public sealed record ControlPlaneAddresses(string Ads, string Grpc, string Http, string TrustBundle, string Token)
{
    /// <summary>Token of the API that only views; null in a cluster, where tokens of the cluster do.</summary>
    public string? ViewToken { get; init; }

    /// <summary>The dashboard, a URL that signs in to view; in a cluster without a token.</summary>
    public string Dashboard => ViewToken is null ? $"{Http}/" : $"{Http}/#token={ViewToken}";
}
