using Mesh.ControlPlane.Sources.Kubernetes;

namespace Mesh.ControlPlane.Injector;

/// <summary>Asks the API server for each pod: an annotation that was written a moment ago counts.</summary>
internal sealed class KubeNamespaces(KubeApi api) : INamespaces
{
    public async Task<NamespaceMeta?> FindAsync(string name, CancellationToken cancellationToken) =>
        await api.GetAsync($"/api/v1/namespaces/{Uri.EscapeDataString(name)}", cancellationToken) is { } found ? NamespaceMeta.Of(name, found) : null;
}
