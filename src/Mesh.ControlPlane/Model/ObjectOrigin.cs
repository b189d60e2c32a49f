namespace Mesh.ControlPlane.Model;

/// <summary>Where an object of a cluster is, so that its status can be written there.</summary>
/// <param name="ResourcePath">Such as <c>/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/catalog</c>.</param>
/// <param name="Generation"><c>metadata.generation</c> of its newest version, in force or not.</param>
internal sealed record ObjectOrigin(string ResourcePath, long Generation);
