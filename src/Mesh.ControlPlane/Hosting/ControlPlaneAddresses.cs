namespace Mesh.ControlPlane.Hosting;

/// <summary>Where a control plane that runs is reached.</summary>
/// <param name="Ads">Plaintext ADS, host and port; empty on Kubernetes, where there is none.</param>
/// <param name="Grpc">TLS gRPC, host and port.</param>
/// <param name="Http">API, a URL.</param>
/// <param name="TrustBundle">Path of the PEM file with its root.</param>
/// <param name="Token">Admin token of the API.</param>
public sealed record ControlPlaneAddresses(string Ads, string Grpc, string Http, string TrustBundle, string Token);
